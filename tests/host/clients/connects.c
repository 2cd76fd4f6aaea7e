/* connect(2), and the forms that its address may have. */
#include "client.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

static int by_nonblocking(void) {
    return connected(connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), &address.any, length));
}

/* The second time on the same socket. */
static int by_connect_twice(void) {
    int descriptor = stream();
    if (connect(descriptor, &address.any, length)) return errno;
    return connected(connect(descriptor, &address.any, length));
}

static int by_seqpacket(void) { return connected(connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), &address.any, length)); }

static int by_datagram(void) { return connected(connect(socket(AF_UNIX, SOCK_DGRAM, 0), &address.any, length)); }

/* Bytes behind the name's NUL, up to the longest length there is. */
static int by_trailing(void) {
    memset(address.local.sun_path + length - sizeof(sa_family_t), 'x', sizeof address - length);
    length = sizeof address.local;
    return by_connect();
}

static int by_unterminated(void) {
    size_t end = length - 1;
    length = end;
    memset((char *)&address + end, 'x', sizeof address - end);
    return by_connect();
}

/* 108 bytes and no NUL: slashes before the name make it so long. */
static int by_longest(void) {
    size_t name = strlen(given[2]), room = sizeof address.local.sun_path;
    memset(address.local.sun_path, '/', room);
    memcpy(address.local.sun_path + room - name, given[2], name);
    length = sizeof address.local;
    return by_connect();
}

/* The address lies in a page that no process has touched: whoever reads it without faulting it in reads nothing. */
static int by_unfaulted(void) {
    int file = memfd_create("address", 0);
    if (file < 0 || pwrite(file, &address, length, 0) != (ssize_t)length) return errno;
    void *page = mmap(NULL, sizeof address, PROT_READ, MAP_PRIVATE, file, 0);
    if (page == MAP_FAILED) return errno;
    return connected(connect(stream(), page, length));
}

/* Across the end of a mapping: the kernel reads `length` bytes and no more. */
static int by_page_end(void) {
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || munmap(pages + 4096, 4096)) return errno;
    memcpy(pages + 4096 - length, &address, length);
    return connected(connect(stream(), (void *)(pages + 4096 - length), length));
}

/* Connects and stays until it is killed. */
static int by_hold(void) {
    int result = by_connect();
    if (result) return result;
    if (write(1, "ready\n", 6) != 6) return errno;
    for (;;) pause();
}

void wait_for_signal(void) {
    int number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (write(1, "ready\n", 6) != 6) _exit(errno);
    sigwait(&set, &number);
}

/* Can be older than whoever watches. */
static int by_signal(void) {
    wait_for_signal();
    return by_connect();
}

/* 2,000 times, as fast as it goes. */
static int by_flood(void) {
    for (int i = 0; i < 2000; i++) {
        int descriptor = stream();
        if (connect(descriptor, &address.any, length)) return errno;
        close(descriptor);
    }
    return 0;
}

/* `client cover ADDRESS OTHER MARK`: many refused attempts at OTHER, and right after them the one that counts. */
static int by_cover(void) {
    struct sockaddr_un other = {.sun_family = AF_UNIX};
    strncpy(other.sun_path, given[3], sizeof other.sun_path - 1);
    int descriptor = stream();
    for (int i = 0; i < 4000; i++) connect(descriptor, (void *)&other, sizeof other);
    return by_connect();
}

/* TCP without connect(2): the first send makes the connection. */
static int by_fast_open(void) {
    const char request[] = "GET /_ping HTTP/1.0\r\n\r\n";
    return sendto(stream(), request, sizeof request - 1, MSG_FASTOPEN, &address.any, length) < 0 ? errno : 0;
}

const struct way connects[] = {
    {"connect", by_connect},
    {"nonblocking", by_nonblocking},
    {"connect-twice", by_connect_twice},
    {"seqpacket", by_seqpacket},
    {"datagram", by_datagram},
    {"trailing", by_trailing},
    {"unterminated", by_unterminated},
    {"longest", by_longest},
    {"unfaulted", by_unfaulted},
    {"page-end", by_page_end},
    {"hold", by_hold},
    {"on-signal", by_signal},
    {"cover", by_cover},
    {"fast-open", by_fast_open},
    {"flood", by_flood},
    {NULL, NULL},
};
