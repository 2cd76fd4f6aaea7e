/* One operation on a path by io_uring: io_uring_client PATH connect|openat caller|worker|poller. Prints the result,
   0 or -errno. It is carried out by the caller within io_uring_enter, by a kernel worker, or by the kernel's
   submission thread. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **arguments) {
  struct io_uring_params params;
  struct sockaddr_un address = {AF_UNIX, ""};
  const char *path = arguments[1];
  if (count < 4 || strlen(path) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, path);
  memset(&params, 0, sizeof params);
  if (!strcmp(arguments[3], "poller")) params.flags = IORING_SETUP_SQPOLL;
  int ring = syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0) return 3;
  char *submit = mmap(0, params.sq_off.array + 4 * params.sq_entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                      IORING_OFF_SQ_RING);
  char *complete = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                        PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *entry = mmap(0, params.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                                    IORING_OFF_SQES);
  memset(entry, 0, sizeof *entry);
  if (!strcmp(arguments[2], "connect")) {
    entry->opcode = IORING_OP_CONNECT;
    entry->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    entry->addr = (unsigned long)&address;
    entry->off = sizeof(sa_family_t) + strlen(path) + 1;
  } else {
    entry->opcode = IORING_OP_OPENAT;
    entry->fd = AT_FDCWD;
    entry->addr = (unsigned long)path;
    entry->open_flags = O_RDWR;
  }
  if (!strcmp(arguments[3], "worker")) entry->flags = IOSQE_ASYNC;
  *(unsigned *)(submit + params.sq_off.array) = 0;
  *(unsigned *)(submit + params.sq_off.tail) = 1;
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 0) != 1) return 4;
  printf("%d\n", ((struct io_uring_cqe *)(complete + params.cq_off.cqes))->res);
  return 0;
}
