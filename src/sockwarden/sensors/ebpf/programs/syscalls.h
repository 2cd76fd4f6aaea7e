/* System calls by number and ABI: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl, include/uapi/linux/net.h. */
#pragma once

#include "connect.h"
#include "descriptors.h"
#include "lives.h"
#include "opens.h"

enum does { DOES_NOTHING, DOES_CONNECT, DOES_LISTEN, DOES_OPEN, DOES_RECEIVE, DOES_RECEIVE_MANY, DOES_DUPLICATE };

#define O_WRONLY 01
#define O_CREAT 0100
#define O_TRUNC 01000

struct arguments {
    __u64 first, second, third;
};

static __always_inline enum does of_64(__u64 number)
{
    switch (number & ~X32_BIT) {
    case 42:
        return DOES_CONNECT;
    case 50:
        return DOES_LISTEN;
    case 2:
    case 85:
    case 257:
    case 304:
    case 437:
        return DOES_OPEN;
    case 47:
    case 519:
        return DOES_RECEIVE;
    case 299:
    case 537:
        return DOES_RECEIVE_MANY;
    case 438:
        return DOES_DUPLICATE;
    default:
        return DOES_NOTHING;
    }
}

#define SOCKETCALL 102

/* The number of the call that a socketcall is. */
static __always_inline __u64 of_socketcall(__u64 call)
{
    return call == 3 ? 362 : call == 4 ? 363 : call == 17 ? 372 : call == 19 ? 337 : 0;
}

static __always_inline enum does of_32(__u64 number)
{
    switch (number) {
    case 362:
        return DOES_CONNECT;
    case 363:
        return DOES_LISTEN;
    case 5:
    case 8:
    case 295:
    case 342:
    case 437:
        return DOES_OPEN;
    case 372:
        return DOES_RECEIVE;
    case 337:
    case 417:
        return DOES_RECEIVE_MANY;
    case 438:
        return DOES_DUPLICATE;
    default:
        return DOES_NOTHING;
    }
}

static __always_inline void read_arguments(struct arguments *arguments, struct pt_regs *regs, bool narrow)
{
    arguments->first = narrow ? (__u32)BPF_CORE_READ(regs, bx) : BPF_CORE_READ(regs, di);
    arguments->second = narrow ? (__u32)BPF_CORE_READ(regs, cx) : BPF_CORE_READ(regs, si);
    arguments->third = narrow ? (__u32)BPF_CORE_READ(regs, dx) : BPF_CORE_READ(regs, dx);
}

/* What a call does, and its arguments; those of socketcall are in user memory. */
static __always_inline enum does decode(struct pt_regs *regs, __u64 number, __u8 *abi, struct arguments *arguments)
{
    *abi = 0;
    /* Most calls are of no interest whichever ABI it is, which takes a look at the task. */
    if (!of_64(number) && !of_32(number) && number != SOCKETCALL)
        return DOES_NOTHING;
    *abi = abi_of(current(), number);
    if (*abi != ABI_I386) {
        enum does does = of_64(number);
        if (does)
            read_arguments(arguments, regs, false);
        return does;
    }
    read_arguments(arguments, regs, true);
    enum does does = of_32(number == SOCKETCALL ? of_socketcall(arguments->first) : number);
    if (does && number == SOCKETCALL) {
        __u32 block[3] = {};
        bpf_probe_read_user(block, sizeof(block), (void *)arguments->second);
        arguments->first = block[0];
        arguments->second = block[1];
        arguments->third = block[2];
    }
    return does;
}

static __always_inline void on_enter(struct pt_regs *regs, __u64 number)
{
    struct arguments arguments;
    __u8 abi;
    enum does does = decode(regs, number, &abi, &arguments);
    if (does == DOES_CONNECT) {
        struct sock *sk = rung == RUNG_TRACEPOINT ? sock_of(file_at(arguments.first)) : NULL;
        bool local = sk && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX;
        note_users_address(arguments.second, (__u32)arguments.third, abi, local ? (__u64)sk : 0);
    } else if (does == DOES_DUPLICATE) {
        struct call call = {.abi = abi, .duplicates = 1};
        __u64 thread = bpf_get_current_pid_tgid();
        bpf_map_update_elem(&calls, &thread, &call, BPF_ANY);
    }
}

static __always_inline void on_connect_exit(const struct arguments *arguments, long result, __u8 abi)
{
    __u64 thread = bpf_get_current_pid_tgid();
    struct call *call = bpf_map_lookup_elem(&calls, &thread);

    if (!call) {
        /* The arguments could be read only now (socketcall), or a crowd of other calls has taken the place. */
        note_users_address(arguments->second, (__u32)arguments->third, abi, 0);
        call = bpf_map_lookup_elem(&calls, &thread);
        if (!call)
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
    bpf_map_delete_elem(&calls, &thread);
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
    __u64 number = (__u32)BPF_CORE_READ(regs, orig_ax), thread = bpf_get_current_pid_tgid();
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
        bpf_map_delete_elem(&calls, &thread);
        break;
    default:
        break;
    }
}
