/* What the ways to a socket share: where they lead, and what else was given. A way is a function that makes one access
 * and gives 0, or the errno of the access; each file has a list of its own, ended by an empty entry. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct way {
    const char *name;
    int (*access)(void);
};

extern const struct way connects[], opens[], rings[], abis[], passing[], threads[], places[], requests[];

extern union address {
    struct sockaddr any;
    struct sockaddr_un local;
} address;
extern socklen_t length;
extern char **given; /* argv: 0 program, 1 way, 2 address; what a way needs besides; the mark */
extern char *mark;   /* the last argument */

/* Makes `address` and `length` of a path, `@name` (abstract) or `HOST:PORT`; false where it is too long. */
int set_address(const char *text);
/* A stream socket of the address's family that survives an exec. */
int stream(void);
int connected(int result);
int by_connect(void);
/* Says that it is ready, and waits for SIGUSR1. */
void wait_for_signal(void);
