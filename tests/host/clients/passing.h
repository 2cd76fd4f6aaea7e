/* A descriptor, sent over a Unix socket. */
#include <sys/socket.h>

/* Messages that are received at once. */
#define MANY 20

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

struct message {
    char byte;
    union control control;
    struct iovec vector;
    struct msghdr head;
};

/* Makes a message of one byte, with room for one descriptor. */
static inline void prepare(struct message *message) {
    message->vector = (struct iovec){&message->byte, 1};
    message->head = (struct msghdr){
        .msg_iov = &message->vector,
        .msg_iovlen = 1,
        .msg_control = &message->control,
        .msg_controllen = sizeof message->control,
    };
}

static inline int *descriptor_in(struct message *message) { return (int *)CMSG_DATA(&message->control.head); }
