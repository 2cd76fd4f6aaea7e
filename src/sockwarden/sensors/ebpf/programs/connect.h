/* Connects: the address as given, the listener that was reached, and failures. */
#pragma once

#include "tell.h"

#define EINPROGRESS 115
/* include/net/tcp_states.h */
#define TCP_SYN_SENT 2
#define ENOENT 2
#define ENOSYS 38

/* The port that an address gives. */
static __always_inline bool is_port_watched(const __u8 *address)
{
    __u16 port = (__u16)address[2] << 8 | address[3];
    return has(&watched, BY_PORT, 0, port);
}

static __always_inline __u16 family_of(const __u8 *address)
{
    return address[0] | (__u16)address[1] << 8;
}

/* Notes the address that the current thread gives a connect, out of user memory or, where the kernel has its copy, that.
 * What `socket` is, a local one, or 0 where that is not known, counts more than the address, which may be written over.
 */
static __always_inline void note_address(struct call *call, const void *address, __u64 length, __u8 abi, bool from_user,
                                         __u64 socket)
{
    if (!call || length < 2)
        return;
    if (length > sizeof(call->address))
        length = sizeof(call->address);
    call->abi = 0;
    call->late = 0;
    call->socket = socket;
    call->length = length;
    PIN(length);
    if (length > sizeof(call->address))
        return;
    if (from_user) {
        /* Its page may be there only when the kernel has asked for it. */
        if (bpf_probe_read_user(call->address, length, address))
            call->late = 1;
    } else if (bpf_probe_read_kernel(call->address, length, address)) {
        return;
    }
    __u16 family = family_of(call->address);
    if (call->late || socket || family == AF_UNIX ||
        ((family == AF_INET || family == AF_INET6) && is_port_watched(call->address)))
        call->abi = abi;
}

/* The same for one of user memory, in a function of its own: whose caller goes deep has no stack for it. */
__noinline int note_users_address(struct call *call, __u64 address, __u64 length, __u8 abi, __u64 socket)
{
    note_address(call, (void *)address, length, abi, true, socket);
    return 0;
}

static __always_inline void put_given(struct access *access, struct call *call)
{
    if (!call || !call->length)
        return;
    access->address = (__u64)call->address;
    access->length = call->length;
    access->family = family_of(call->address);
    if (call->late)
        access->flags |= FLAG_GIVEN_LATE;
}

static __always_inline void note_holder(void)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    __u8 one = 1;
    bpf_map_update_elem(&holders, &pid, &one, BPF_ANY);
}

/* The current process has connected this socket. */
static __always_inline void note_connector(__u64 client, __u64 inode)
{
    note_holder();
    bpf_map_update_elem(&clients, &client, &inode, BPF_ANY);
}

/* At security_unix_stream_connect: a spinlock of the listener's is held (net/unix/af_unix.c, unix_stream_connect).
 * `listener`: its inode.
 */
static __always_inline void on_stream_connect(struct sock *sk, struct sock *other, __u64 listener)
{
    if (is_left_alone(listener)) {
        count(COUNT_LEFT_ALONE);
        return;
    }
    struct access access = {.action = ACTION_CONNECT, .family = AF_UNIX, .hook = HOOK_UNIX_STREAM_CONNECT};
    struct task_struct *task = current();
    __u64 thread = bpf_get_current_pid_tgid();

    access.reached.listener = listener;
    put_bound_file(&access.reached, other);
    access.verdict = verdict_on(&access.reached, number_of(other));
    if (access.verdict == VERDICT_IGNORED) {
        count(COUNT_LEFT_ALONE);
        return;
    }
    access.reached.client = inode_of_socket(sk);
    access.reached.connector = thread >> 32;
    access.bound = number_of(other);
    struct call *call = noted_call();
    put_given(&access, call);
    access.abi = call ? call->abi : abi_of(task, 0);
    if (access.verdict == VERDICT_WATCHED)
        note_connector(number_of(sk), access.reached.client);
    tell(&access);
}

/* On the rung without that hook: at the end of a call that succeeded, by its socket. Gives the verdict, 0 where it is not
 * connected to a local one.
 */
__noinline int on_connected(__u64 socket, struct call *call, __u32 abi, __u32 hook)
{
    struct access access = {.action = ACTION_CONNECT, .family = AF_UNIX, .hook = hook, .abi = abi};

    if (!call)
        return 0;
    struct sock *peer = peer_of((struct sock *)socket, &access.reached);
    if (!peer)
        return 0;
    access.verdict = verdict_on(&access.reached, (__u64)peer);
    if (access.verdict == VERDICT_IGNORED) {
        count(COUNT_LEFT_ALONE);
        return VERDICT_IGNORED;
    }
    access.reached.connector = bpf_get_current_pid_tgid() >> 32;
    access.bound = (__u64)peer;
    put_given(&access, call);
    if (access.verdict == VERDICT_WATCHED)
        note_connector(socket, access.reached.client);
    tell(&access);
    return access.verdict;
}

/* A connect that failed. The kernel does not say what it had found by the name: that is the name's reader's to find out.
 * Where nothing was found only names that a runtime's socket may have are told: programs ask for what is not there all day.
 */
__noinline int on_refused(struct call *call, __s32 result, __u32 abi, __u32 hook)
{
    struct access access = {.action = ACTION_CONNECT, .result = result, .hook = hook, .abi = abi};

    if (!call || call->length < 2 || result == -ENOSYS)
        return 0;
    put_given(&access, call);
    if (access.family != AF_UNIX && access.family != AF_INET && access.family != AF_INET6)
        return 0;
    access.verdict = VERDICT_UNDECIDED;
    if (access.family == AF_UNIX) {
        if (call->length == 2)
            return 0;
        if (result == -ENOENT && !has(&watched, BY_LAST_PART, 0, hash_of(call, true)))
            return 0;
    } else if (is_port_watched(call->address)) {
        access.verdict = VERDICT_WATCHED;
    } else {
        return 0;
    }
    tell(&access);
    return 0;
}

/* A TCP connection begins, whatever call or request asked for it. Of a connect(2) its end tells, with the result. */
static __always_inline void on_syn_sent(struct sock *sk)
{
    struct call call = {.abi = ABI_X86_64};
    struct task_struct *task = current();
    __u16 port = BPF_CORE_READ(sk, __sk_common.skc_dport);
    __u32 host = BPF_CORE_READ(sk, __sk_common.skc_daddr);

    __builtin_memcpy(&call.address[2], &port, sizeof(port));
    /* The kernel's own threads have no memory of a process. */
    if (!is_port_watched(call.address) || !BPF_CORE_READ(task, mm))
        return;
    struct call *noted = noted_call();
    if (noted && noted->abi != ABI_IO_URING && is_port_watched(noted->address))
        return;
    if (host || BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
        call.address[0] = AF_INET;
        call.length = 16;
        __builtin_memcpy(&call.address[4], &host, sizeof(host));
    } else {
        call.address[0] = AF_INET6;
        call.length = 28;
        BPF_CORE_READ_INTO(&call.address[8], sk, __sk_common.skc_v6_daddr);
    }
    on_refused(&call, -EINPROGRESS, abi_of(task, 0), HOOK_INET_STATE);
}
