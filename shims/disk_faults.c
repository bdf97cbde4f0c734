/*
 * A disk that fails when it is told to: a library for LD_PRELOAD, for tests on 64-bit Linux only.
 *
 * It stands before the calls of the C library that change files, looks only at files below one
 * directory, counts, and at the call that was asked for does something else. See README.md.
 *
 * Invariant: without an order in the control file, and for files elsewhere, each call does exactly
 * what it does without this library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, ABORT, HANG, NO_SPACE, IO_ERROR, SHORT, TORN };

/* What the control file asks for. */
struct order {
    enum fault fault;
    int goes_on;
    char kind[16];
    long number;
    char part[PATH_MAX];
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char control_text[PATH_MAX + 128];
static struct order order;
static long seen;
/* The rest of a write that was cut short fails. */
static int rest_fails;

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
}

static enum fault fault_named(const char *name) {
    static const struct {
        const char *name;
        enum fault fault;
    } names[] = {{"abort", ABORT}, {"hang", HANG},   {"enospc", NO_SPACE},
                 {"eio", IO_ERROR}, {"short", SHORT}, {"torn", TORN}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].fault;
        }
    }
    return NONE;
}

/* Reads the control file; another text is another order, and counting begins again. */
static void read_control(void) {
    const char *path = getenv("CUSTODY_SHIM_CONTROL");
    char text[sizeof control_text] = "";
    int file = path == NULL ? -1 : open_at(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file >= 0) {
        long length = syscall(SYS_read, file, text, sizeof text - 1);
        text[length > 0 ? length : 0] = '\0';
        syscall(SYS_close, file);
    }
    if (strcmp(text, control_text) == 0) {
        return;
    }
    strcpy(control_text, text);
    seen = 0;
    rest_fails = 0;
    char fault[16], how[16];
    memset(&order, 0, sizeof order);
    if (sscanf(text, "%15s %15s %15s %ld %4095s", fault, how, order.kind, &order.number,
               order.part) == 5) {
        order.fault = fault_named(fault);
        order.goes_on = strcmp(how, "on") == 0;
    }
}

static void trace(const char *kind, const char *path, enum fault fault) {
    const char *name = getenv("CUSTODY_SHIM_TRACE");
    if (name == NULL || order.number == 0) {
        return;
    }
    int file = open_at(AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%s %s %s\n", fault == NONE ? "-" : "!", kind, path);
    if (length > 0 && (size_t)length < sizeof line) {
        syscall(SYS_write, file, line, (size_t)length);
    }
    syscall(SYS_close, file);
}

static int is_watched(const char *path);

/* Writes down what was done, with all bytes, so that somebody else can do it again. */
static void note(char what, long number, const char *path, const char *to, const void *bytes,
                 size_t length) {
    const char *name = getenv("CUSTODY_SHIM_JOURNAL");
    if (name == NULL || order.number == 0 || !is_watched(path)) {
        return;
    }
    char head[2 * PATH_MAX + 64];
    int said = snprintf(head, sizeof head, "%c %ld %zu %s%s%s\n", what, number, length, path,
                        to == NULL ? "" : "\t", to == NULL ? "" : to);
    if (said <= 0 || (size_t)said >= sizeof head) {
        _exit(99);
    }
    struct iovec parts[] = {{head, (size_t)said}, {(void *)bytes, length}};
    int file = open_at(AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (syscall(SYS_writev, file, parts, 2) != (long)(length + (size_t)said)) {
        _exit(99);
    }
    syscall(SYS_close, file);
}

/* The path of an open file, as the kernel has it. */
static void path_of(int file, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
}

static void note_file(char what, int file, long number, const void *bytes, size_t length) {
    int before = errno;
    char path[PATH_MAX];
    if (getenv("CUSTODY_SHIM_JOURNAL") != NULL) {
        path_of(file, path);
        note(what, number, path, NULL, bytes, length);
    }
    errno = before;
}

static int is_watched(const char *path) {
    const char *folder = getenv("CUSTODY_SHIM_DIRECTORY");
    size_t length = folder == NULL ? 0 : strlen(folder);
    return length > 0 && strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

/* Whether the order is about this path: one that holds the text, or ends with it before a `$`. */
static int is_meant(const char *path) {
    size_t text = strlen(order.part), length = strlen(path);
    if (text == 0 || order.part[text - 1] != '$') {
        return strstr(path, order.part) != NULL;
    }
    return length >= text - 1 && strncmp(path + length - (text - 1), order.part, text - 1) == 0;
}

/* Counts a call and says what becomes of it. Does not come back where nothing comes back. */
static enum fault fate(const char *kind, const char *path) {
    if (!is_watched(path)) {
        return NONE;
    }
    pthread_mutex_lock(&turn);
    read_control();
    enum fault fault = NONE;
    if (order.fault != NONE && is_meant(path) &&
        (strcmp(order.kind, "any") == 0 || strcmp(order.kind, kind) == 0)) {
        seen++;
        if (seen == order.number || (order.goes_on && seen > order.number)) {
            fault = order.fault;
        } else if (rest_fails) {
            rest_fails = 0;
            fault = IO_ERROR;
        }
        if (fault == SHORT) {
            rest_fails = 1;
        }
    }
    trace(kind, path, fault);
    if (fault == ABORT) {
        _exit(137);
    }
    pthread_mutex_unlock(&turn);
    while (fault == HANG) {
        pause();
    }
    return fault;
}

static enum fault fate_of_file(const char *kind, int file) {
    int before = errno;
    char path[PATH_MAX];
    path_of(file, path);
    enum fault fault = fate(kind, path);
    errno = before;
    return fault;
}

/* The whole of a path that may begin at a folder. */
static void whole_path(int folder, const char *path, char whole[2 * PATH_MAX]) {
    if (path[0] == '/') {
        snprintf(whole, 2 * PATH_MAX, "%s", path);
        return;
    }
    char link[64];
    if (folder == AT_FDCWD) {
        strcpy(link, "/proc/self/cwd");
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    }
    ssize_t length = readlink(link, whole, PATH_MAX - 1);
    if (length < 0) {
        length = 0;
    }
    snprintf(whole + length, 2 * PATH_MAX - (size_t)length, "/%s", path);
}

static enum fault fate_of_path(const char *kind, int folder, const char *path) {
    char whole[2 * PATH_MAX];
    whole_path(folder, path, whole);
    return fate(kind, whole);
}

static void note_path(char what, int folder, const char *path, long number) {
    int before = errno;
    char whole[2 * PATH_MAX];
    whole_path(folder, path, whole);
    note(what, number, whole, NULL, NULL, 0);
    errno = before;
}

/* What a call that writes nothing answers: torn means that it happened and nobody heard of it. */
static int concluded(enum fault fault, long done) {
    if (fault == TORN) {
        _exit(137);
    }
    return (int)done;
}

static int concluded_file(enum fault fault, char what, int file, long number, long done) {
    if (done == 0) {
        note_file(what, file, number, NULL, 0);
    }
    return concluded(fault, done);
}

static int concluded_path(enum fault fault, char what, int folder, const char *path, long done) {
    if (done == 0) {
        note_path(what, folder, path, 0);
    }
    return concluded(fault, done);
}

static int refused(enum fault fault) {
    if (fault == NO_SPACE) {
        errno = ENOSPC;
        return 1;
    }
    if (fault == IO_ERROR || fault == SHORT) {
        errno = EIO;
        return 1;
    }
    return 0;
}

/* Writes all of it, half of it, or nothing. */
static ssize_t write_at(int file, const void *bytes, size_t length, const off_t *place) {
    enum fault fault = fate_of_file("write", file);
    size_t most = length;
    if (fault == TORN || (fault == SHORT && length > 1)) {
        most = length / 2;
    } else if (refused(fault)) {
        return -1;
    }
    long where = place == NULL ? syscall(SYS_lseek, file, 0, SEEK_CUR) : *place;
    ssize_t done = place == NULL ? syscall(SYS_write, file, bytes, most)
                                 : syscall(SYS_pwrite64, file, bytes, most, *place);
    if (fault == TORN) {
        _exit(137);
    }
    if (done > 0) {
        note_file('W', file, where, bytes, (size_t)done);
    }
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) {
    return write_at(file, bytes, length, NULL);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t place) {
    return write_at(file, bytes, length, &place);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t place) {
    off_t same = place;
    return write_at(file, bytes, length, &same);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    enum fault fault = fate_of_file("write", file);
    if (fault == TORN || (fault == SHORT && count > 0 && parts[0].iov_len > 1)) {
        ssize_t done = count > 0 ? syscall(SYS_write, file, parts[0].iov_base, parts[0].iov_len / 2)
                                 : 0;
        if (fault == TORN) {
            _exit(137);
        }
        return done;
    }
    if (refused(fault)) {
        return -1;
    }
    long where = syscall(SYS_lseek, file, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_writev, file, parts, count);
    ssize_t left = done;
    for (int i = 0; i < count && left > 0; i++) {
        size_t some = (size_t)left < parts[i].iov_len ? (size_t)left : parts[i].iov_len;
        note_file('W', file, where, parts[i].iov_base, some);
        where += (long)some;
        left -= (ssize_t)some;
    }
    return done;
}

int fsync(int file) {
    enum fault fault = fate_of_file("sync", file);
    return refused(fault) ? -1 : concluded_file(fault, 'S', file, 0, syscall(SYS_fsync, file));
}

int fdatasync(int file) {
    enum fault fault = fate_of_file("sync", file);
    return refused(fault) ? -1 : concluded_file(fault, 'S', file, 0, syscall(SYS_fdatasync, file));
}

int ftruncate(int file, off_t length) {
    enum fault fault = fate_of_file("truncate", file);
    return refused(fault)
               ? -1
               : concluded_file(fault, 'T', file, length, syscall(SYS_ftruncate, file, length));
}

int ftruncate64(int file, off64_t length) {
    return ftruncate(file, length);
}

int fallocate(int file, int mode, off_t place, off_t length) {
    enum fault fault = fate_of_file("allocate", file);
    return refused(fault) ? -1
                          : concluded_file(fault, 'A', file, length,
                                           syscall(SYS_fallocate, file, mode, place, length));
}

int fallocate64(int file, int mode, off64_t place, off64_t length) {
    return fallocate(file, mode, place, length);
}

int posix_fallocate(int file, off_t place, off_t length) {
    return fallocate(file, 0, place, length) == 0 ? 0 : errno;
}

int posix_fallocate64(int file, off64_t place, off64_t length) {
    return posix_fallocate(file, place, length);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    enum fault fault = fate_of_path("rename", to_folder, to);
    if (refused(fault)) {
        return -1;
    }
    long done = syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    if (done == 0) {
        char whole[2 * PATH_MAX], whole_to[2 * PATH_MAX];
        whole_path(from_folder, from, whole);
        whole_path(to_folder, to, whole_to);
        note('R', 0, whole, whole_to, NULL, 0);
    }
    return concluded(fault, done);
}

int rename(const char *from, const char *to) {
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int folder, const char *path, int flags) {
    enum fault fault = fate_of_path("unlink", folder, path);
    return refused(fault) ? -1
                          : concluded_path(fault, 'U', folder, path,
                                           syscall(SYS_unlinkat, folder, path, flags));
}

int unlink(const char *path) {
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    enum fault fault = fate_of_path("mkdir", folder, path);
    return refused(fault) ? -1
                          : concluded_path(fault, 'M', folder, path,
                                           syscall(SYS_mkdirat, folder, path, mode));
}

int mkdir(const char *path, mode_t mode) {
    return mkdirat(AT_FDCWD, path, mode);
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    enum fault fault = flags & O_CREAT ? fate_of_path("open", folder, path) : NONE;
    if (refused(fault)) {
        return -1;
    }
    int file = open_at(folder, path, flags, mode);
    if (file >= 0 && (flags & O_CREAT)) {
        note_path('O', folder, path, (flags & O_TRUNC) != 0);
    }
    return concluded(fault, file);
}

#define MODE_AFTER(flags)                                                                          \
    mode_t mode = 0;                                                                               \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = (mode_t)va_arg(rest, unsigned);                                                     \
        va_end(rest);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_AFTER(flags)
    return opened(folder, path, flags, mode);
}

int creat(const char *path, mode_t mode) {
    return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode) {
    return creat(path, mode);
}
