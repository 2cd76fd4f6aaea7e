/* Connections that another program ends up with: `client WAY ADDRESS RECEIVER MARK`. RECEIVER is receiver.c's program,
 * which is told how to come by the descriptor, and stays a while after this process is gone. */
#include "client.h"
#include "passing.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static int pair[2];

static void become_receiver(const char *how, int number) {
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    execl(given[3], given[3], how, text, mark, (char *)NULL);
    _exit(errno);
}

/* Another process, which is the receiver before it gets anything; it has its end of the pair as descriptor 3. */
static int started(const char *how) {
    int type = strcmp(how, "recvmmsg") ? SOCK_STREAM : SOCK_SEQPACKET;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair)) return errno;
    if (fork()) return 0;
    dup2(pair[1], 3);
    fcntl(3, F_SETFD, 0);
    become_receiver(how, 3);
    return 0;
}

static int send_descriptor(int descriptor) {
    struct message message = {0};
    prepare(&message);
    message.control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    *descriptor_in(&message) = descriptor;
    return sendmsg(pair[0], &message.head, 0) == 1 ? 0 : errno;
}

/* What the receiver says of how it went: 0 or an errno. */
static int answer(void) {
    unsigned char result = EIO;
    return read(pair[0], &result, 1) == 1 ? result : EIO;
}

static int connected_stream(void) {
    int descriptor = stream();
    return connect(descriptor, &address.any, length) ? -1 : descriptor;
}

static int pass(const char *how, int descriptor) {
    if (descriptor < 0) return errno;
    int failed = started(how);
    if (!failed) failed = send_descriptor(descriptor);
    return failed ? failed : answer();
}

static int by_scm(void) { return pass("recvmsg", connected_stream()); }

/* The last one of many messages that are received in one call. */
static int by_scm_many(void) {
    int descriptor = connected_stream();
    if (descriptor < 0) return errno;
    int failed = started("recvmmsg");
    for (int i = 1; i < MANY && !failed; i++) failed = write(pair[0], "x", 1) == 1 ? 0 : errno;
    if (!failed) failed = send_descriptor(descriptor);
    return failed ? failed : answer();
}

static int by_scm_io_uring(void) { return pass("io_uring", connected_stream()); }

/* What is passed only names the socket; the receiver connects. */
static int by_scm_named(void) { return pass("connect", open(given[2], O_PATH)); }

/* The receiver takes the descriptor out of this process, which only tells its number. */
static int by_stealing(void) {
    int descriptor = connected_stream();
    if (descriptor < 0) return errno;
    int failed = started("pidfd_getfd");
    unsigned char number = descriptor;
    if (!failed && write(pair[0], &number, 1) != 1) failed = errno;
    return failed ? failed : answer();
}

/* Fork, and exec of the child. */
static int by_inheriting(void) {
    int descriptor = connected_stream();
    if (descriptor < 0) return errno;
    if (fork() == 0) become_receiver("inherited", descriptor);
    return 0;
}

/* Exec of the process that connected; the receiver, which is this process then, gives the exit status. */
static int by_exec(void) {
    int descriptor = connected_stream();
    if (descriptor < 0) return errno;
    become_receiver("executed", descriptor);
    return EIO;
}

/* The same with a high number. */
static int by_exec_high(void) {
    int descriptor = connected_stream(), high = 1000;
    if (descriptor < 0 || dup2(descriptor, high) < 0 || close(descriptor)) return errno;
    become_receiver("executed", high);
    return EIO;
}

/* The child stays, with the connection, and the parent that connected is gone. */
static int by_fork(void) {
    int descriptor = connected_stream();
    if (descriptor < 0) return errno;
    if (fork()) return 0;
    for (int standard = 0; standard < 3; standard++) close(standard);
    sleep(8);
    _exit(0);
}

/* A socket that is not connected yet is inherited, and the receiver connects it. */
static int by_late(void) {
    int descriptor = stream();
    if (fork() == 0) {
        char text[12];
        snprintf(text, sizeof text, "%d", descriptor);
        execl(given[3], given[3], "late", text, given[2], mark, (char *)NULL);
        _exit(errno);
    }
    int status;
    return wait(&status) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

const struct way passing[] = {
    {"scm", by_scm},
    {"scm-many", by_scm_many},
    {"scm-io_uring", by_scm_io_uring},
    {"scm-named", by_scm_named},
    {"pidfd_getfd", by_stealing},
    {"inherit", by_inheriting},
    {"exec", by_exec},
    {"exec-high", by_exec_high},
    {"fork", by_fork},
    {"late", by_late},
    {NULL, NULL},
};
