/* One operation on a path by io_uring: io_uring_client PATH connect|openat caller|worker|poller|register|exec. Prints
   the result, 0 or -errno. It is carried out by the caller within io_uring_enter, by a kernel worker, by the kernel's
   submission thread; or, linked to a timeout and deferred, within io_uring_register or execve, which cancel something.
   After the execve the program is run with the number of the socket alone, and prints whether it is connected. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct __kernel_timespec soon = {0, 20000000};

/* A timeout to which the next request is linked, so that it is carried out whatever becomes of the timeout. */
static void timeout(struct io_uring_sqe *entry) {
  entry->opcode = IORING_OP_TIMEOUT;
  entry->addr = (unsigned long)&soon;
  entry->len = 1;
  entry->flags = IOSQE_IO_HARDLINK;
}

/* An open that waits in a worker until it is cancelled, in two seconds or so: nobody writes to the fifo. */
static void wait_for_fifo(struct io_uring_sqe *entry, const char *fifo) {
  mkfifo(fifo, 0600);
  entry->opcode = IORING_OP_OPENAT;
  entry->fd = AT_FDCWD;
  entry->addr = (unsigned long)fifo;
  entry->open_flags = O_RDONLY;
  entry->flags = IOSQE_ASYNC;
  entry->user_data = 5;
}

static int connected(int descriptor) {
  struct sockaddr_un peer;
  socklen_t size = sizeof peer;
  return getpeername(descriptor, (struct sockaddr *)&peer, &size) ? -errno : 0;
}

int main(int count, char **arguments) {
  struct io_uring_params params;
  struct sockaddr_un address = {AF_UNIX, ""};
  const char *path = arguments[1];
  if (count == 2) return printf("%d\n", connected(atoi(path))) < 0;
  if (count < 4 || strlen(path) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, path);
  int by_register = !strcmp(arguments[3], "register"), deferred = by_register || !strcmp(arguments[3], "exec");
  memset(&params, 0, sizeof params);
  if (!strcmp(arguments[3], "poller")) params.flags = IORING_SETUP_SQPOLL;
  if (deferred) params.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
  int ring = syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0) return 3;
  char *submit = mmap(0, params.sq_off.array + 4 * params.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                      IORING_OFF_SQ_RING);
  char *complete = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                        PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *entry = mmap(0, params.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                                    IORING_OFF_SQES);
  memset(entry, 0, params.sq_entries * sizeof *entry);
  unsigned requests = 1;
  int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  if (by_register) {
    char fifo[128];
    snprintf(fifo, sizeof fifo, "%s.fifo", path);
    wait_for_fifo(entry++, fifo);
    requests++;
  }
  if (deferred) {
    timeout(entry++);
    requests++;
  }
  if (!strcmp(arguments[2], "connect")) {
    entry->opcode = IORING_OP_CONNECT;
    entry->fd = descriptor;
    entry->addr = (unsigned long)&address;
    entry->off = sizeof(sa_family_t) + strlen(path) + 1;
  } else {
    entry->opcode = IORING_OP_OPENAT;
    entry->fd = AT_FDCWD;
    entry->addr = (unsigned long)path;
    entry->open_flags = O_RDWR;
  }
  if (!strcmp(arguments[3], "worker")) entry->flags = IOSQE_ASYNC;
  for (unsigned i = 0; i < requests; i++) ((unsigned *)(submit + params.sq_off.array))[i] = i;
  *(unsigned *)(submit + params.sq_off.tail) = requests;
  unsigned wanted = !deferred, flags = deferred ? 0 : IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP;
  if (syscall(SYS_io_uring_enter, ring, requests, wanted, flags, 0, 0) != requests) return 4;
  if (deferred) {
    usleep(200000); /* the timeout is over, and what is linked to it waits for this task's next look at the ring */
    if (connected(descriptor) != -ENOTCONN) return 5;
  }
  if (by_register) {
    struct io_uring_sync_cancel_reg cancel = {.addr = 5, .fd = -1, .timeout = {1, 0}};
    syscall(SYS_io_uring_register, ring, IORING_REGISTER_SYNC_CANCEL, &cancel, 1);
    printf("%d\n", connected(descriptor));
  } else if (deferred) {
    char number[12];
    snprintf(number, sizeof number, "%d", descriptor);
    execl("/proc/self/exe", arguments[0], number, (char *)0);
    return 6;
  } else {
    printf("%d\n", ((struct io_uring_cqe *)(complete + params.cq_off.cqes))->res);
  }
  return 0;
}
