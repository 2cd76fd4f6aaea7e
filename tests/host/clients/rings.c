/* io_uring: connect and open without their system calls, by this thread, by one of the ring's workers, or by the kernel
 * thread that polls the queue. */
#include "client.h"
#include "rings.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static unsigned char entry_flags;

int submitted(unsigned setup_flags, void (*fill)(struct io_uring_sqe *)) {
    struct io_uring_params setup = {.flags = setup_flags, .sq_thread_idle = 1000};
    int ring = syscall(SYS_io_uring_setup, 1, &setup);
    if (ring < 0) return -errno;
    size_t bytes = setup.sq_off.array + setup.sq_entries * sizeof(unsigned);
    size_t completions = setup.cq_off.cqes + setup.cq_entries * sizeof(struct io_uring_cqe);
    if (completions > bytes) bytes = completions;
    char *queues = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(0, setup.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (queues == MAP_FAILED || entry == MAP_FAILED) return -errno;
    fill(entry);
    entry->flags |= entry_flags;
    ((unsigned *)(queues + setup.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(queues + setup.sq_off.tail), 1, __ATOMIC_RELEASE);
    unsigned wait = IORING_ENTER_GETEVENTS | (setup_flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
    unsigned least = !(entry_flags & IOSQE_CQE_SKIP_SUCCESS);
    if (syscall(SYS_io_uring_enter, ring, 1, least, wait, NULL, 0) < 0) return -errno;
    return ((struct io_uring_cqe *)(queues + setup.cq_off.cqes))->res;
}

static void fill_connect(struct io_uring_sqe *entry) {
    entry->opcode = IORING_OP_CONNECT;
    entry->fd = stream();
    entry->addr = (unsigned long)&address;
    entry->off = length;
}

static void fill_open(struct io_uring_sqe *entry) {
    entry->opcode = IORING_OP_OPENAT;
    entry->fd = AT_FDCWD;
    entry->addr = (unsigned long)given[2];
    entry->open_flags = O_RDWR;
}

static void fill_openat2(struct io_uring_sqe *entry) {
    static struct open_how how = {.flags = O_RDWR};
    entry->opcode = IORING_OP_OPENAT2;
    entry->fd = AT_FDCWD;
    entry->addr = (unsigned long)given[2];
    entry->len = sizeof how;
    entry->off = (unsigned long)&how;
}

static int failed(int result) { return result < 0 ? -result : 0; }

static int by_io_uring(void) { return failed(submitted(0, fill_connect)); }

static int by_worker(void) {
    entry_flags = IOSQE_ASYNC;
    return failed(submitted(0, fill_connect));
}

/* A success leaves no completion. */
static int by_silent(void) {
    entry_flags = IOSQE_CQE_SKIP_SUCCESS;
    return failed(submitted(0, fill_connect));
}

static int by_poller(void) { return failed(submitted(IORING_SETUP_SQPOLL, fill_connect)); }

static int by_open(void) { return failed(submitted(0, fill_open)); }

static int by_openat2(void) { return failed(submitted(0, fill_openat2)); }

static int by_open_in_worker(void) {
    entry_flags = IOSQE_ASYNC;
    return failed(submitted(0, fill_open));
}

static int by_open_in_poller(void) { return failed(submitted(IORING_SETUP_SQPOLL, fill_open)); }

const struct way rings[] = {
    {"io_uring", by_io_uring},
    {"io_uring-silent", by_silent},
    {"io_uring-worker", by_worker},
    {"io_uring-sqpoll", by_poller},
    {"io_uring-open", by_open},
    {"io_uring-openat2", by_openat2},
    {"io_uring-open-worker", by_open_in_worker},
    {"io_uring-open-sqpoll", by_open_in_poller},
    {NULL, NULL},
};
