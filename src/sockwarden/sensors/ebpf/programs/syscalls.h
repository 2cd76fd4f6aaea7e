/* System calls by number and ABI: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl, include/uapi/linux/net.h. */
#pragma once

#include "connect.h"
#include "descriptors.h"
#include "lives.h"
#include "opens.h"

enum does {
    DOES_NOTHING,
    DOES_CONNECT,
    DOES_LISTEN,
    DOES_OPEN,
    DOES_RECEIVE,
    DOES_RECEIVE_MANY,
    DOES_DUPLICATE,
    /* A socketcall, which says in its first argument what it is. */
    DOES_SEVERAL,
};

#define O_WRONLY 01
#define O_CREAT 0100
#define O_TRUNC 01000

struct arguments {
    __u64 first, second, third;
};

/* What is looked at of a call, by its number without the bit of x32. Both ABIs have one table, for most calls are of no
 * interest in either: in the lowest four bits what it does for 64 bits, in the next four for 32.
 */
#define NUMBERS 576
#define BOTH(does) ((does) | (does) << 4)
#define FOR_32(does) ((does) << 4)
#define PASSES 0x100
/* Of those that pass what is of interest in any process. */
#define ACCEPTS 0x200
/* Noted at its entry. */
#define AT_ENTRY 0x400
#define AT_EXIT 0xff

static const __u16 interests[NUMBERS] = {
    [0] = PASSES, /* read */
    [1] = PASSES, /* write */
    [2] = DOES_OPEN,
    [5] = FOR_32(DOES_OPEN),
    [8] = FOR_32(DOES_OPEN),
    [19] = PASSES, /* readv */
    [20] = PASSES, /* writev */
    [40] = PASSES, /* sendfile */
    [42] = DOES_CONNECT | AT_ENTRY,
    [43] = PASSES | ACCEPTS,
    [44] = PASSES, /* sendto */
    [45] = PASSES, /* recvfrom */
    [46] = PASSES, /* sendmsg */
    [47] = DOES_RECEIVE | PASSES,
    [50] = DOES_LISTEN,
    [85] = DOES_OPEN,
    [102] = FOR_32(DOES_SEVERAL) | AT_ENTRY, /* socketcall */
    [257] = DOES_OPEN,
    [275] = PASSES, /* splice */
    [288] = PASSES | ACCEPTS,
    [295] = FOR_32(DOES_OPEN),
    [299] = DOES_RECEIVE_MANY,
    [304] = DOES_OPEN,
    [337] = FOR_32(DOES_RECEIVE_MANY),
    [342] = FOR_32(DOES_OPEN),
    [362] = FOR_32(DOES_CONNECT) | AT_ENTRY,
    [363] = FOR_32(DOES_LISTEN),
    [372] = FOR_32(DOES_RECEIVE),
    [417] = FOR_32(DOES_RECEIVE_MANY),
    [437] = BOTH(DOES_OPEN),
    [438] = BOTH(DOES_DUPLICATE),
    [519] = DOES_RECEIVE,
    [537] = DOES_RECEIVE_MANY,
};

static __always_inline __u32 interest_in(__u64 number)
{
    number &= ~(__u64)X32_BIT;
    return number < NUMBERS ? interests[number] : 0;
}

/* What a socketcall is. */
static __always_inline enum does does_socketcall(__u64 call)
{
    return call == 3 ? DOES_CONNECT : call == 4 ? DOES_LISTEN : call == 17 ? DOES_RECEIVE
           : call == 19 ? DOES_RECEIVE_MANY : DOES_NOTHING;
}

static __always_inline void read_arguments(struct arguments *arguments, const struct pt_regs *regs, bool narrow)
{
    arguments->first = narrow ? (__u32)regs->bx : regs->di;
    arguments->second = narrow ? (__u32)regs->cx : regs->si;
    arguments->third = narrow ? (__u32)regs->dx : regs->dx;
}

/* What a call does, and its arguments; those of socketcall are in user memory. */
static __always_inline enum does decode(const struct pt_regs *regs, __u64 number, __u8 *abi, struct arguments *arguments)
{
    __u32 interest = interest_in(number);
    *abi = abi_here(number);
    bool narrow = *abi == ABI_I386;
    /* x32 numbers are none of 32 bits. */
    enum does does = narrow ? (number & X32_BIT ? 0 : interest >> 4 & 15) : interest & 15;
    if (!does)
        return DOES_NOTHING;
    read_arguments(arguments, regs, narrow);
    if (does != DOES_SEVERAL)
        return does;
    does = does_socketcall(arguments->first);
    if (does) {
        __u32 block[3] = {};
        bpf_probe_read_user(block, sizeof(block), (void *)arguments->second);
        arguments->first = block[0];
        arguments->second = block[1];
        arguments->third = block[2];
    }
    return does;
}

/* What the call does that the current thread is in, for hooks that do not know their call: nothing where it is one of
 * io_uring's, whose registers are its maker's.
 */
static __always_inline enum does does_now(__u8 *abi)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
    __u64 number = (__u32)regs->orig_ax;
    __u32 interest = interest_in(number);

    *abi = abi_here(number);
    if (task->flags & PF_IO_WORKER)
        return DOES_NOTHING;
    return *abi == ABI_I386 ? interest >> 4 & 15 : interest & 15;
}

/* At security_socket_connect: the kernel's own copy of the address is what it goes by from here. */
static __always_inline void on_socket_connect(const void *address, int length)
{
    __u8 abi;
    enum does does = does_now(&abi);
    bool by_call = does == DOES_CONNECT || does == DOES_SEVERAL;

    note_address(fresh_call(), address, length, by_call ? abi : ABI_IO_URING, false, 0);
}

/* At security_file_receive: whatever brought the descriptor, io_uring too. */
static __always_inline void on_file_receive(struct file *file)
{
    __u8 abi;
    bool duplicates = does_now(&abi) == DOES_DUPLICATE;

    on_moved(file, duplicates ? ACTION_DUPLICATE : ACTION_RECEIVE, abi, HOOK_FILE_RECEIVE);
}

/* On the tracepoint rung, which has no hook in between. */
static __always_inline void on_enter(struct pt_regs *regs, __u64 number)
{
    struct arguments arguments;
    __u8 abi;

    if (decode(regs, number, &abi, &arguments) != DOES_CONNECT)
        return;
    struct sock *sk = sock_of(file_at(arguments.first));
    bool local = sk && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX;
    note_users_address(fresh_call(), arguments.second, (__u32)arguments.third, abi, local ? (__u64)sk : 0);
}

static __always_inline void on_connect_exit(const struct arguments *arguments, long result, __u8 abi)
{
    struct call *call = noted_call();

    /* What a request of io_uring's has left, which ended in another thread, is none of this call. */
    if (!call || call->abi == ABI_IO_URING) {
        __u32 first = 0;
        /* By the kernel's copy it was of no interest. */
        if (rung != RUNG_TRACEPOINT && result >= 0)
            return;
        /* It failed before there was a copy, the arguments could be read only now (socketcall), or there was no memory. */
        call = bpf_map_lookup_elem(&spare, &first);
        if (!call)
            return;
        call->abi = 0;
        note_users_address(call, arguments->second, (__u32)arguments->third, abi, 0);
        if (!call->abi)
            return;
        call->late = 1;
    }
    __u64 length = call->length;
    PIN(length);
    if (call->late && length <= sizeof(call->address) &&
        bpf_probe_read_user(call->address, length, (void *)arguments->second))
        call->length = 0;
    if (result < 0 || (call->length >= 2 && family_of(call->address) != AF_UNIX))
        on_refused(call, result, abi, HOOK_SYS_EXIT);
    if (rung == RUNG_TRACEPOINT && result >= 0) {
        /* Another thread may have put another descriptor in its place meanwhile. The socket lives: the call's own hold of it
         * is let go of on the way back to user space (task work).
         */
        __u64 before = call->socket, now = (__u64)sock_of(file_at(arguments->first));
        if (on_connected(before, call, abi, HOOK_SYS_EXIT) != VERDICT_WATCHED && now != before)
            on_connected(now, call, abi, HOOK_SYS_EXIT);
    }
    call->abi = 0;
}

/* open, creat, openat, openat2 and open_by_handle_at: where each has its name and its flags. */
static __always_inline void on_open_exit(const struct arguments *arguments, __u64 number, long result, __u8 abi)
{
    __u32 first = 0;
    struct opening *opening = bpf_map_lookup_elem(&scratch, &first);
    bool narrow = abi == ABI_I386;
    __u64 plain = number & ~X32_BIT, name = arguments->second;

    if (!opening)
        return;
    opening->flags = arguments->third;
    if (plain == (narrow ? 5 : 2)) {
        name = arguments->first;
        opening->flags = arguments->second;
    } else if (plain == (narrow ? 8 : 85)) {
        name = arguments->first;
        opening->flags = O_CREAT | O_WRONLY | O_TRUNC;
    } else if (plain == 437) {
        bpf_probe_read_user(&opening->flags, sizeof(opening->flags), (void *)arguments->third);
    }
    if (result >= 0 && !(opening->flags & O_PATH))
        return;
    opening->name[0] = 0;
    if (plain != (narrow ? 342 : 304))
        bpf_probe_read_user_str(opening->name, sizeof(opening->name), (void *)name);
    on_open(opening, result, abi, HOOK_SYS_EXIT);
}

static __always_inline void on_exit_of(struct pt_regs *regs, long result)
{
    struct arguments arguments;
    /* The kernel goes by the lower half. */
    __u64 number = (__u32)regs->orig_ax;
    __u8 abi;

    switch (decode(regs, number, &abi, &arguments)) {
    case DOES_CONNECT:
        on_connect_exit(&arguments, result, abi);
        break;
    case DOES_LISTEN:
        if (!result)
            on_listen(arguments.first);
        break;
    case DOES_OPEN:
        on_open_exit(&arguments, number, result, abi);
        break;
    case DOES_RECEIVE:
        if (rung == RUNG_TRACEPOINT && result >= 0)
            look_at_message(arguments.second, abi);
        break;
    case DOES_RECEIVE_MANY:
        if (rung == RUNG_TRACEPOINT)
            on_messages(arguments.second, result, abi);
        break;
    case DOES_DUPLICATE:
        if (rung == RUNG_TRACEPOINT && result >= 0)
            look_at(result, ACTION_DUPLICATE, abi, HOOK_SYS_EXIT);
        break;
    default:
        break;
    }
}
