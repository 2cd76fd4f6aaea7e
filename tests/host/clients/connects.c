/* connect(2), and the forms that its address may have. */
#include "client.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

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

static int flood(int times) {
    for (int i = 0; i < times; i++) {
        int descriptor = stream();
        if (connect(descriptor, &address.any, length)) return errno;
        close(descriptor);
    }
    return 0;
}

/* 2,000 times, as fast as it goes. */
static int by_flood(void) { return flood(2000); }

/* `client flood-and-go ADDRESS OTHER MARK`: more often than is told one by one, then once to OTHER, then once by another
 * program, with other arguments. */
static int by_flood_and_go(void) {
    int result = flood(20000);
    char *next[] = {given[0], "connect", given[2], mark, NULL};
    if (result || !set_address(given[3]) || (result = by_connect())) return result ? result : EINVAL;
    execv(given[0], next);
    return errno;
}

static long long clock_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* `client rate ADDRESS A_SECOND SECONDS MARK`: so often a second, as far as the machine can, for so long; says how often it
 * was. What it is late by more than 10 ms is not caught up, so that no second has more than its share. */
static int by_rate(void) {
    long long gap = 1000000000LL / atol(given[3]), now = clock_now(), end = now + atol(given[4]) * 1000000000LL;
    long count = 0;
    for (long long due = now; now < end; now = clock_now()) {
        if (now < due) {
            struct timespec rest = {0, due - now};
            nanosleep(&rest, NULL);
            continue;
        }
        int descriptor = stream();
        if (connect(descriptor, &address.any, length)) return errno;
        close(descriptor);
        count++;
        due = due + gap > now - 10000000 ? due + gap : now - 10000000;
    }
    return printf("%ld\n", count) > 0 ? 0 : EIO;
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
    {"flood-and-go", by_flood_and_go},
    {"rate", by_rate},
    {NULL, NULL},
};
