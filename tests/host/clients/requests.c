/* A request that lies in a file, sent by each call that can send: `client ask-… ADDRESS FILE [MORE] MARK`. What comes
 * back is printed until the daemon closes, which the file's last request asks it for. */
#include "client.h"
#include "rings.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PIECES = 1000 };

static char *bytes;
static size_t size;
static int peer;

static int opened(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status)) return -1;
    size = status.st_size;
    bytes = malloc(size + 1);
    return read(file, bytes, size) == (ssize_t)size ? file : -1;
}

static int told(void) {
    char answer[4096];
    ssize_t came;
    while ((came = read(peer, answer, sizeof answer)) > 0)
        if (write(1, answer, came) != came) return errno;
    return came ? errno : 0;
}

static int written(const char *from, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t sent = write(peer, from + done, count - done);
        if (sent < 0) return errno;
        done += sent;
    }
    return 0;
}

static int asked(int (*send_all)(int file)) {
    int file = opened(given[3]);
    peer = stream();
    if (file < 0 || connect(peer, &address.any, length)) return errno;
    int failed = send_all(file);
    return failed ? failed : told();
}

static int all_at_once(int file) {
    (void)file;
    return written(bytes, size);
}

/* So that the daemon reads each piece alone. */
static int in_pieces(size_t piece, unsigned pause) {
    for (size_t done = 0; done < size; done += piece) {
        int failed = written(bytes + done, size - done < piece ? size - done : piece);
        if (failed) return failed;
        usleep(pause);
    }
    return 0;
}

static int byte_by_byte(int file) {
    (void)file;
    return in_pieces(1, 500);
}

static int in_halves(int file) {
    (void)file;
    return in_pieces(size / 2 + 1, 50000);
}

static int by_sendfile(int file) {
    off_t at = 0;
    while ((size_t)at < size)
        if (sendfile(peer, file, &at, size - at) < 0) return errno;
    return 0;
}

static int by_splice(int file) {
    int ends[2];
    loff_t at = 0;
    if (pipe(ends)) return errno;
    while ((size_t)at < size) {
        ssize_t moved = splice(file, &at, ends[1], NULL, size - at, 0);
        if (moved <= 0) return errno;
        while (moved > 0) {
            ssize_t out = splice(ends[0], NULL, peer, NULL, moved, 0);
            if (out <= 0) return errno;
            moved -= out;
        }
    }
    return 0;
}

/* Many vectors of a few bytes each, some of none. */
static int by_iovecs(int file) {
    static struct iovec pieces[PIECES];
    size_t each = size / (PIECES / 2) + 1, count = 0, at = 0;
    (void)file;
    while (at < size) {
        size_t next = size - at < each ? size - at : each;
        pieces[count++] = (struct iovec){bytes + at, next};
        pieces[count++] = (struct iovec){NULL, 0};
        at += next;
    }
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(peer, &message, 0) == (ssize_t)size ? 0 : errno;
}

static int by_messages(int file) {
    struct iovec halves[] = {{bytes, size / 2}, {bytes + size / 2, size - size / 2}};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &halves[0], .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = &halves[1], .msg_iovlen = 1}}};
    (void)file;
    return sendmmsg(peer, messages, 2, 0) == 2 ? 0 : errno;
}

static void fill_send(struct io_uring_sqe *entry) {
    entry->opcode = IORING_OP_SEND;
    entry->fd = peer;
    entry->addr = (unsigned long)bytes;
    entry->len = size;
}

static int by_ring(int file) {
    (void)file;
    int sent = submitted(0, fill_send);
    return sent == (int)size ? 0 : sent < 0 ? -sent : EIO;
}

/* By the kernel's thread that polls the queue. */
static int by_poller(int file) {
    (void)file;
    int sent = submitted(IORING_SETUP_SQPOLL, fill_send);
    return sent == (int)size ? 0 : sent < 0 ? -sent : EIO;
}

static int ask(void) { return asked(all_at_once); }
static int ask_slowly(void) { return asked(byte_by_byte); }
static int ask_in_halves(void) { return asked(in_halves); }
static int ask_by_sendfile(void) { return asked(by_sendfile); }
static int ask_by_splice(void) { return asked(by_splice); }
static int ask_by_iovecs(void) { return asked(by_iovecs); }
static int ask_by_messages(void) { return asked(by_messages); }
static int ask_by_ring(void) { return asked(by_ring); }
static int ask_by_poller(void) { return asked(by_poller); }

/* The connection is older than whoever watches; the request is not. */
static int ask_later(void) {
    if (opened(given[3]) < 0) return errno;
    peer = stream();
    if (connect(peer, &address.any, length)) return errno;
    wait_for_signal();
    int failed = written(bytes, size);
    return failed ? failed : told();
}

/* `ask-exec ADDRESS FILE PROGRAM MARK`: this program connects, and becomes another that asks over descriptor 9. */
static int ask_after_exec(void) {
    if (dup2(stream(), 9) < 0 || connect(9, &address.any, length)) return errno;
    execl(given[4], given[4], "ask-inherited", given[2], given[3], mark, (char *)NULL);
    return errno;
}

static int ask_inherited(void) {
    peer = 9;
    if (opened(given[3]) < 0) return errno;
    int failed = written(bytes, size);
    return failed ? failed : told();
}

/* The child asks over its parent's connection, while the parent is still there. */
static int ask_by_child(void) {
    int status;
    if (dup2(stream(), 9) < 0 || connect(9, &address.any, length)) return errno;
    if (fork() == 0) {
        execl(given[4], given[4], "ask-inherited", given[2], given[3], mark, (char *)NULL);
        _exit(errno);
    }
    return wait(&status) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* Less than was announced, and then nothing more. */
static int ask_cut(void) {
    if (opened(given[3]) < 0) return errno;
    peer = stream();
    if (connect(peer, &address.any, length)) return errno;
    int failed = written(bytes, size);
    usleep(200000);
    return failed;
}

const struct way requests[] = {
    {"ask", ask},
    {"ask-slowly", ask_slowly},
    {"ask-halves", ask_in_halves},
    {"ask-sendfile", ask_by_sendfile},
    {"ask-splice", ask_by_splice},
    {"ask-iovecs", ask_by_iovecs},
    {"ask-messages", ask_by_messages},
    {"ask-io_uring", ask_by_ring},
    {"ask-io_uring-sqpoll", ask_by_poller},
    {"ask-cut", ask_cut},
    {"ask-later", ask_later},
    {"ask-exec", ask_after_exec},
    {"ask-inherited", ask_inherited},
    {"ask-child", ask_by_child},
    {NULL, NULL},
};
