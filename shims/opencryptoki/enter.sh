#!/bin/sh
# Runs a program inside a tree of Debian 13, where openCryptoki's daemon has two soft tokens that are
# new. Call it as root, in namespaces of its own, with which the mounts and the daemon end:
#
#     unshare --mount --pid --ipc --fork --kill-child sh enter.sh TREE FOLDER PROGRAM [ARGUMENT…]
#
# The workspace and FOLDER, where its output is, are in the tree under the same paths. Nothing that
# the program or the daemon writes elsewhere stays.
set -eu

tree=$1 folder=$2 here=$PWD
shift 2
shim=$(cd "$(dirname "$0")" && pwd)

mount -t proc proc "$tree/proc"
for empty in dev/shm run tmp var/lib/opencryptoki var/log/opencryptoki; do
    mount -t tmpfs -o mode=1777 tmpfs "$tree/$empty"
done
mount --bind "$shim/opencryptoki.conf" "$tree/etc/opencryptoki/opencryptoki.conf"
for shared in "$(cd "$shim/../.." && pwd)" "$folder"; do
    mkdir -p "$tree$shared"
    mount --bind "$shared" "$tree$shared"
done

# Once it answers, the daemon listens. The shell stays as the process that all others end with.
exec chroot "$tree" /bin/sh -euc '
    install -d -g pkcs11 -m 770 /run/lock/opencryptoki
    /usr/sbin/pkcsslotd -l /run/pkcsslotd.log || { cat /run/pkcsslotd.log >&2; exit 1; }
    cd "$0"
    "$@" || exit $?
' "$here" "$@"
