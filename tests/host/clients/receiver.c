/* Another program than the client, which comes by a descriptor and stays with it: `receiver HOW NUMBER … MARK`.
 *
 * NUMBER is the descriptor itself, or that of the socket by which it comes. It stays for longer than lies between two
 * looks of a watch at who holds what, and lets go of its standard streams, so that nobody waits for it.
 */
#include "client.h"
#include "passing.h"
#include "rings.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

static int number;
static struct message message;

static int received(int result) { return result != 1 ? -1 : *descriptor_in(&message); }

static void fill_receive(struct io_uring_sqe *entry) {
    entry->opcode = IORING_OP_RECVMSG;
    entry->fd = number;
    entry->addr = (unsigned long)&message.head;
    entry->len = 1;
}

static int stolen(void) {
    unsigned char of_parent;
    if (read(number, &of_parent, 1) != 1) return -1;
    return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getppid(), 0), of_parent, 0);
}

static int connect_to(const char *path, int descriptor) {
    if (!set_address(path)) return EINVAL;
    return connect(descriptor, &address.any, length) ? errno : 0;
}

/* The last of many messages has it. */
static int received_last(void) {
    static struct message all[MANY];
    struct mmsghdr heads[MANY];
    for (int i = 0; i < MANY; i++) {
        prepare(&all[i]);
        heads[i].msg_hdr = all[i].head;
    }
    usleep(100000);
    return recvmmsg(number, heads, MANY, 0, NULL) == MANY ? *descriptor_in(&all[MANY - 1]) : -1;
}

static int came(const char *how) {
    int descriptor = -1;
    prepare(&message);
    if (strcmp(how, "io_uring") == 0) descriptor = received(submitted(0, fill_receive));
    else if (strcmp(how, "recvmmsg") == 0) descriptor = received_last();
    else if (strcmp(how, "pidfd_getfd") == 0) descriptor = stolen();
    else descriptor = received(recvmsg(number, &message.head, 0));
    if (descriptor < 0) return errno ? errno : EIO;
    if (strcmp(how, "connect")) return 0;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return connect_to(path, socket(AF_UNIX, SOCK_STREAM, 0));
}

int main(int count, char **arguments) {
    if (count < 4) return EINVAL;
    const char *how = arguments[1];
    number = atoi(arguments[2]);
    if (strcmp(how, "late") == 0) return connect_to(arguments[3], number);
    unsigned char result = 0;
    if (strcmp(how, "inherited") && strcmp(how, "executed")) {
        result = came(how);
        if (write(number, &result, 1) != 1) return errno;
    }
    for (int standard = 0; standard < 3; standard++) close(standard);
    sleep(result ? 0 : 8);
    return result;
}
