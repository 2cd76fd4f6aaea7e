/* One access to a Unix socket, by one way, and out: `client WAY ADDRESS [MARK]`.
 *
 * MARK is read by nobody here: it makes the arguments of one run unlike those of any other. The exit status is 0, or the
 * errno of the access, so that a test knows what really happened. Nothing waits: the process is gone at once.
 * Built static and not position-independent, so that what i386 calls point at lies below 4 GiB.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t length;

static int connected(int result) { return result == 0 ? 0 : errno; }

static int by_connect(void) {
    return connected(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, length));
}

static int by_open(void) { return open(address.sun_path, O_RDWR) < 0 ? errno : 0; }

static int by_descriptor(void) {
    int descriptor = open(address.sun_path, O_PATH);
    if (descriptor < 0) return errno;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", descriptor);
    length = offsetof(struct sockaddr_un, sun_path) + strlen(address.sun_path) + 1;
    return by_connect();
}

#ifdef __x86_64__
static unsigned int arguments[3];

static int i386(int call, unsigned int first, void *second, unsigned int third) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(call), "b"(first), "c"(second), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? -result : 0;
}

static int by_i386_connect(void) { return i386(362, socket(AF_UNIX, SOCK_STREAM, 0), &address, length); }

static int by_socketcall(void) {
    arguments[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    arguments[1] = (unsigned int)(unsigned long)&address;
    arguments[2] = length;
    return i386(102, 3 /* SYS_CONNECT */, arguments, 0);
}
#endif

/* A submission and its completion; the kernel fills the completion queue before io_uring_enter returns. */
static int by_io_uring(void) {
    struct io_uring_params setup = {0};
    int ring = syscall(SYS_io_uring_setup, 1, &setup);
    if (ring < 0) return errno;
    size_t bytes = setup.sq_off.array + setup.sq_entries * sizeof(unsigned);
    size_t completions = setup.cq_off.cqes + setup.cq_entries * sizeof(struct io_uring_cqe);
    if (completions > bytes) bytes = completions;
    char *queues = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(0, setup.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (queues == MAP_FAILED || entry == MAP_FAILED) return errno;
    entry->opcode = IORING_OP_CONNECT;
    entry->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    entry->addr = (unsigned long)&address;
    entry->off = length;
    ((unsigned *)(queues + setup.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(queues + setup.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return errno;
    return -((struct io_uring_cqe *)(queues + setup.cq_off.cqes))->res;
}

static const struct {
    const char *name;
    int (*access)(void);
} ways[] = {
    {"connect", by_connect},           {"open", by_open},       {"descriptor", by_descriptor},
#ifdef __x86_64__
    {"i386-connect", by_i386_connect}, {"socketcall", by_socketcall},
#endif
    {"io_uring", by_io_uring},
};

int main(int count, char **given) {
    if (count < 3 || strlen(given[2]) >= sizeof address.sun_path) return EINVAL;
    strcpy(address.sun_path, given[2]);
    length = offsetof(struct sockaddr_un, sun_path) + strlen(given[2]) + 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, given[1]) == 0) return ways[i].access();
    return EINVAL;
}
