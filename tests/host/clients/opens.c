/* The ways to open a socket's file, which the kernel refuses with ENXIO unless it is only to be named (O_PATH). */
#include "client.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

static int opened(int descriptor) { return descriptor < 0 ? errno : 0; }

static int by_open(void) { return opened(open(given[2], O_RDWR)); }

static int by_openat2(void) {
    struct open_how how = {.flags = O_RDWR};
    return opened(syscall(SYS_openat2, AT_FDCWD, given[2], &how, sizeof how));
}

/* On x86 a call of its own, elsewhere openat. */
static int by_creat(void) {
#ifdef SYS_creat
    return opened(syscall(SYS_creat, given[2], 0600));
#else
    return opened(creat(given[2], 0600));
#endif
}

static int of_handle(int flags) {
    union {
        struct file_handle head;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } handle = {.head.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, given[2], &handle.head, &mount_id, 0)) return -1;
    char *folder = strdup(given[2]);
    *strrchr(folder, '/') = 0;
    int mount = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY);
    return mount < 0 ? -1 : open_by_handle_at(mount, &handle.head, flags);
}

static int by_handle(void) { return opened(of_handle(O_RDWR)); }

/* Connects to a descriptor that only names the socket. */
static int through(int descriptor) {
    char path[32];
    if (descriptor < 0) return errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return set_address(path) ? by_connect() : EINVAL;
}

static int by_descriptor(void) { return through(open(given[2], O_PATH)); }

static int by_handle_descriptor(void) { return through(of_handle(O_PATH)); }

/* The same by the process id of another, its parent here: `/proc/PID/fd/N`. */
static int by_descriptor_of_parent(void) {
    int pair[2];
    if (pipe(pair)) return errno;
    int descriptor = open(given[2], O_PATH);
    if (descriptor < 0) return errno;
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), descriptor);
    pid_t child = fork();
    if (child == 0) {
        close(descriptor);
        char result = set_address(path) ? by_connect() : EINVAL;
        _exit(write(pair[1], &result, 1) != 1);
    }
    char result = EINVAL;
    return read(pair[0], &result, 1) == 1 ? result : EIO;
}

const struct way opens[] = {
    {"open", by_open},
    {"openat2", by_openat2},
    {"creat", by_creat},
    {"handle", by_handle},
    {"descriptor", by_descriptor},
    {"handle-descriptor", by_handle_descriptor},
    {"descriptor-of-parent", by_descriptor_of_parent},
    {NULL, NULL},
};
