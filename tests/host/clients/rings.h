/* One submission to an io_uring and its completion. */
#include <linux/io_uring.h>

/* Fills a ring of one entry by `fill`, submits it and waits; what the completion says, or a negative errno. */
int submitted(unsigned setup_flags, void (*fill)(struct io_uring_sqe *));
