/* Other threads, which do it instead or meanwhile. */
#include "client.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int descriptor;
static volatile int over;

static void *connecting(void *result) {
    *(int *)result = by_connect();
    return NULL;
}

static int by_thread(void) {
    int result = EINVAL;
    pthread_t thread;
    if (pthread_create(&thread, NULL, connecting, &result) || pthread_join(thread, NULL)) return EAGAIN;
    return result;
}

/* The thread waits until the first one, whose id is the process's, is a zombie: its /proc tells no executable then. */
static void *connecting_alone(void *unused) {
    char line[256] = "", *state = NULL;
    do {
        FILE *stat = fopen("/proc/self/stat", "r");
        if (!stat || !fgets(line, sizeof line, stat)) _exit(EIO);
        fclose(stat);
        state = strrchr(line, ')');
    } while (!state || state[2] != 'Z');
    syscall(SYS_exit_group, by_connect());
    return unused;
}

static int by_thread_without_leader(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, connecting_alone, NULL)) return EAGAIN;
    syscall(SYS_exit, 0);
    return EIO;
}

static int by_vfork(void) {
    int status;
    pid_t child = vfork();
    if (child == 0) _exit(by_connect());
    return child > 0 && waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : EIO;
}

/* Which of two addresses of the same length the kernel reads is not told by what a look at the memory finds. */
static void *swapping(void *both) {
    while (!over)
        for (int i = 0; i < 2; i++) memcpy(address.local.sun_path, ((char **)both)[i], strlen(given[2]));
    return NULL;
}

/* `client address-race ADDRESS DECOY MARK`: until it came to ADDRESS, however often to DECOY before. */
static int by_address_race(void) {
    pthread_t thread;
    if (strlen(given[2]) != strlen(given[3])) return EINVAL;
    char *both[] = {given[2], given[3]};
    if (pthread_create(&thread, NULL, swapping, both)) return EAGAIN;
    for (;;) {
        struct sockaddr_un peer = {0};
        socklen_t size = sizeof peer;
        int socket = stream();
        /* A mixture of the two names is nobody's. */
        if (connect(socket, &address.any, length) == 0 && getpeername(socket, (void *)&peer, &size) == 0) {
            if (strcmp(peer.sun_path, given[2]) == 0) break;
        }
        close(socket);
    }
    over = 1;
    return 0;
}

/* A look at the memory finds an address of another family than the kernel reads. */
static void *changing_family(void *unused) {
    while (!over)
        for (int i = 0; i < 2; i++) __atomic_store_n(&address.any.sa_family, i ? AF_UNIX : AF_INET, __ATOMIC_RELAXED);
    return unused;
}

static int by_family_race(void) {
    pthread_t thread;
    int descriptor = stream();
    if (pthread_create(&thread, NULL, changing_family, NULL)) return EAGAIN;
    while (connect(descriptor, &address.any, length)) {}
    over = 1;
    return 0;
}

/* The connection is visible to another thread before its call is over: what looks at the descriptor after the call
 * finds it gone, or in its place another socket, which leads to given[3]. */
static void *taking_away(void *instead) {
    struct sockaddr_un peer;
    for (;;) {
        socklen_t size = sizeof peer;
        if (getpeername(descriptor, (void *)&peer, &size) == 0) break;
    }
    if (instead) dup2(*(int *)instead, descriptor);
    else close(descriptor);
    return NULL;
}

static int raced(int *instead) {
    pthread_t thread;
    descriptor = stream();
    if (pthread_create(&thread, NULL, taking_away, instead)) return EAGAIN;
    usleep(2000); /* until the other one spins */
    int result = connected(connect(descriptor, &address.any, length));
    if (!result) pthread_join(thread, NULL);
    return result;
}

static int by_close_race(void) { return raced(NULL); }

static int by_dup_race(void) {
    struct sockaddr_un decoy = {.sun_family = AF_UNIX};
    strcpy(decoy.sun_path, given[3]);
    int instead = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(instead, (struct sockaddr *)&decoy, sizeof decoy)) return errno;
    return raced(&instead);
}

const struct way threads[] = {
    {"thread", by_thread},
    {"thread-without-leader", by_thread_without_leader},
    {"vfork", by_vfork},
    {"address-race", by_address_race},
    {"family-race", by_family_race},
    {"close-race", by_close_race},
    {"dup-race", by_dup_race},
    {NULL, NULL},
};
