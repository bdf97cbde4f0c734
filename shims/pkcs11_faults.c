/*
 * A PKCS#11 module that stands before another one, counts its calls, and makes them fail or lie.
 *
 * The other module is the file CUSTODY_MODULE. CUSTODY_MODULE_TRACE is the file to which each
 * watched call is appended: name, answer. CUSTODY_MODULE_ORDERS is the file with the orders, read
 * before each watched call; counting begins anew when its text changes. shims/README.md says what
 * orders there are. With CUSTODY_MODULE_LENGTHS the length of a signature is answered here.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

/* CK_FUNCTION_LIST (PKCS #11 2.40, section 3.6): a version, and 68 functions in this order. */
struct list {
    unsigned char version[2];
    function functions[68];
};

enum { FUNCTIONS = 68, ORDERS_MAX = 16, TEXT_MAX = 4096, GENERAL_ERROR = 5 };

struct order {
    char name[32];
    unsigned first, count;
    char what[16];
    word number;
};

static struct list real, ours;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[TEXT_MAX];
static struct order orders[ORDERS_MAX];
static unsigned order_count;
static unsigned seen[FUNCTIONS];

/* Reads the orders again if their text changed. */
static void read_orders(void) {
    char now[TEXT_MAX] = {0};
    const char *path = getenv("CUSTODY_MODULE_ORDERS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        ssize_t length = read(file, now, sizeof now - 1);
        close(file);
        now[length > 0 ? length : 0] = 0;
    }
    if (strcmp(now, text) == 0) return;
    strcpy(text, now);
    memset(seen, 0, sizeof seen);
    order_count = 0;
    for (char *rest = now, *line; order_count < ORDERS_MAX && (line = strsep(&rest, "\n"));) {
        struct order *order = &orders[order_count];
        if (sscanf(line, "%31s %u %u %15s %li", order->name, &order->first, &order->count,
                   order->what, (long *)&order->number) == 5)
            order_count++;
    }
}

/* The order that this call falls under, or none. */
static int next_order(int index, const char *name, struct order *found) {
    if (!getenv("CUSTODY_MODULE_ORDERS")) return 0;
    pthread_mutex_lock(&lock);
    read_orders();
    unsigned number = ++seen[index];
    int is_found = 0;
    for (unsigned i = 0; i < order_count && !is_found; i++) {
        struct order *order = &orders[i];
        if (strcmp(order->name, name) || number < order->first) continue;
        if (order->count && number - order->first >= order->count) continue;
        *found = *order;
        is_found = 1;
    }
    pthread_mutex_unlock(&lock);
    return is_found;
}

static word traced(const char *name, word answer) {
    const char *path = getenv("CUSTODY_MODULE_TRACE");
    int file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        char line[64];
        int length = snprintf(line, sizeof line, "%s %#lx\n", name, answer);
        if (write(file, line, (size_t)length) != length) abort();
        close(file);
    }
    return answer;
}

/* Changes one bit of what a call gave, another one each time. */
static void flip(unsigned char *bytes, word length, word seed) {
    static word turn;
    word at = length ? (seed * 2654435761u + __atomic_fetch_add(&turn, 7919, __ATOMIC_RELAXED)) % (8 * length) : 0;
    if (bytes && length) bytes[at / 8] ^= (unsigned char)(1u << at % 8);
}

static const word SIGN = 43, ATTRIBUTES = 24, FIND = 27, ENCRYPT = 30, DECRYPT = 34, WRAP = 60, RANDOM = 64;

/* Lies about what a call gave. */
static void lie(word index, const struct order *order, const word *a) {
    unsigned char *bytes = NULL;
    word *length = NULL, given = 0;
    if (index == SIGN || index == ENCRYPT || index == DECRYPT) bytes = (void *)a[3], length = (void *)a[4];
    if (index == WRAP) bytes = (void *)a[4], length = (void *)a[5];
    if (index == RANDOM) bytes = (void *)a[1], given = a[2];
    if (index == FIND) bytes = (void *)a[1], given = sizeof(word) * *(word *)a[3];
    if (index == ATTRIBUTES && a[3]) {
        word *attribute = (word *)a[2]; /* type, value, length */
        bytes = (void *)attribute[1], given = attribute[2];
    }
    if (length) given = *length;
    if (strcmp(order->what, "flip") == 0) flip(bytes, given, order->number);
    if (strcmp(order->what, "zero") == 0 && bytes) memset(bytes, 0, given);
    if (strcmp(order->what, "cut") == 0 && index == FIND && *(word *)a[3] >= order->number)
        *(word *)a[3] -= order->number;
    if (strcmp(order->what, "cut") == 0 && length && bytes && *length >= order->number) *length -= order->number;
}

static word call(int index, const char *name, word a0, word a1, word a2, word a3, word a4, word a5, word a6, word a7) {
    struct order order;
    word a[] = {a0, a1, a2, a3, a4, a5, a6, a7};
    if (index == (int)SIGN && !a3 && getenv("CUSTODY_MODULE_LENGTHS")) {
        *(word *)a4 = 64;
        return 0;
    }
    int is_ordered = next_order(index, name, &order);
    if (is_ordered && strcmp(order.what, "answer") == 0) return traced(name, order.number);
    if (is_ordered && strcmp(order.what, "hang") == 0)
        for (;;) pause();
    if (is_ordered && strcmp(order.what, "abort") == 0) abort();
    if (is_ordered && strcmp(order.what, "late") == 0) usleep((useconds_t)(order.number * 1000));
    word answer = real.functions[index](a0, a1, a2, a3, a4, a5, a6, a7);
    if (is_ordered && strcmp(order.what, "after") == 0) answer = order.number;
    if (is_ordered && answer == 0) lie((word)index, &order, a);
    return traced(name, answer);
}

#define WATCHED(watched) \
    watched(0, Initialize) watched(1, Finalize) watched(6, GetTokenInfo) watched(12, OpenSession) \
    watched(13, CloseSession) watched(15, GetSessionInfo) watched(18, Login) watched(19, Logout) \
    watched(20, CreateObject) watched(22, DestroyObject) watched(24, GetAttributeValue) \
    watched(26, FindObjectsInit) watched(27, FindObjects) watched(29, EncryptInit) watched(30, Encrypt) \
    watched(33, DecryptInit) watched(34, Decrypt) watched(42, SignInit) watched(43, Sign) \
    watched(58, GenerateKey) watched(59, GenerateKeyPair) watched(60, WrapKey) watched(61, UnwrapKey) \
    watched(64, GenerateRandom)

#define DEFINE(index, name) \
    static word of_##name(word a, word b, word c, word d, word e, word f, word g, word h) { \
        return call(index, #name, a, b, c, d, e, f, g, h); \
    }
#define PLACE(index, name) ours.functions[index] = of_##name;

WATCHED(DEFINE)

static word our_list(struct list **list) {
    *list = &ours;
    return 0;
}

word C_GetFunctionList(struct list **list) {
    const char *path = getenv("CUSTODY_MODULE");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    word (*get)(struct list **) = NULL;
    struct list *theirs = NULL;
    if (library) *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&theirs)) return GENERAL_ERROR;
    real = *theirs;
    ours = real;
    WATCHED(PLACE)
    ours.functions[3] = (function)(void *)our_list;
    return our_list(list);
}
