/* The system calls of x86-64's other ABIs: i386, by connect and by socketcall, and x32, which most kernels leave out. */
#include "client.h"
#include <fcntl.h>
#include <sys/mman.h>

#ifdef __x86_64__
static unsigned int arguments[3];

static int i386(int call, unsigned int first, void *second, unsigned int third) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(call), "b"(first), "c"(second), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? -result : 0;
}

static int by_i386_connect(void) { return i386(362, stream(), &address, length); }

static int by_socketcall(void) {
    arguments[0] = stream();
    arguments[1] = (unsigned int)(unsigned long)&address;
    arguments[2] = length;
    return i386(102, 3 /* SYS_CONNECT */, arguments, 0);
}

/* The block of arguments lies in a page that no process has touched. */
static int by_socketcall_unfaulted(void) {
    unsigned int block[3] = {stream(), (unsigned int)(unsigned long)&address, length};
    int file = memfd_create("arguments", 0);
    if (file < 0 || pwrite(file, block, sizeof block, 0) != sizeof block) return errno;
    void *page = mmap(NULL, sizeof block, PROT_READ, MAP_PRIVATE | MAP_32BIT, file, 0);
    return page == MAP_FAILED ? errno : i386(102, 3 /* SYS_CONNECT */, page, 0);
}

/* An argument of a system call of i386 has to lie below 4 GiB, where argv does not. */
static int by_i386_open(void) {
    return i386(5, (unsigned int)(unsigned long)address.local.sun_path, (void *)O_RDWR, 0);
}

/* The kernel looks at the lower half of the call's number alone. */
static int by_wide_number(void) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((1L << 32) + 42), "D"((long)stream()), "S"(&address), "d"((long)length)
                     : "memory", "rcx", "r11");
    return result < 0 ? -result : 0;
}

static int by_x32_connect(void) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(0x40000000L + 42), "D"((long)stream()), "S"(&address), "d"((long)length)
                     : "memory", "rcx", "r11");
    return result < 0 ? -result : 0;
}
#endif

const struct way abis[] = {
#ifdef __x86_64__
    {"i386-connect", by_i386_connect},
    {"socketcall", by_socketcall},
    {"socketcall-unfaulted", by_socketcall_unfaulted},
    {"wide-number", by_wide_number},
    {"i386-open", by_i386_open},
    {"x32-connect", by_x32_connect},
#endif
    {NULL, NULL},
};
