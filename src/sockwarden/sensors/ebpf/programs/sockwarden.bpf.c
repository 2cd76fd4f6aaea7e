// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/* Every program, by the hook that it is attached to. Its name says on which rung of the ladder it is needed: `__lsm`,
 * `__fentry`, `__kprobe`, `__any` on each, `__option` on each where the kernel has the hook, `__called` on each, where the
 * kernel takes it, by another program. None keeps anything from happening: they only look.
 */
#include "kernel.h"

#include <bpf/bpf_tracing.h>

#include "io_uring.h"
#include "streams.h"
#include "syscalls.h"

char _license[] SEC("license") = "GPL";

/* Keeps the type in the object, where the tests look for its layout. */
struct exec_record *longest __attribute__((unused));

SEC("lsm/unix_stream_connect")
int BPF_PROG(unix_stream_connect__lsm, struct sock *sk, struct sock *other, struct sock *made, int result)
{
    if (!result)
        on_stream_connect(sk, other);
    return result;
}

SEC("fexit/security_unix_stream_connect")
int BPF_PROG(unix_stream_connect__fentry, struct sock *sk, struct sock *other, struct sock *made, int result)
{
    if (!result)
        on_stream_connect(sk, other);
    return 0;
}

SEC("kprobe/security_unix_stream_connect")
int BPF_KPROBE(unix_stream_connect__kprobe, struct sock *sk, struct sock *other)
{
    on_stream_connect(sk, other);
    return 0;
}

/* The kernel's own copy of the address: what it goes by from here. */
static __always_inline void on_socket_connect(const void *address, int length)
{
    __u64 thread = bpf_get_current_pid_tgid();
    struct call *call = bpf_map_lookup_elem(&calls, &thread);
    __u8 abi = abi_of(current(), 0);
    /* A call is noted at its entry, but for a socketcall whose arguments could not be read then. */
    note_address(address, length, call ? call->abi : abi == ABI_I386 ? abi : ABI_IO_URING, false, 0);
}

SEC("lsm/socket_connect")
int BPF_PROG(socket_connect__lsm, struct socket *socket, const void *address, int length, int result)
{
    on_socket_connect(address, length);
    return result;
}

SEC("fentry/security_socket_connect")
int BPF_PROG(socket_connect__fentry, struct socket *socket, const void *address, int length)
{
    on_socket_connect(address, length);
    return 0;
}

SEC("kprobe/security_socket_connect")
int BPF_KPROBE(socket_connect__kprobe, struct socket *socket, const void *address, int length)
{
    on_socket_connect(address, length);
    return 0;
}

SEC("lsm/file_open")
int BPF_PROG(file_open__lsm, struct file *file, int result)
{
    on_file_open(file);
    return result;
}

SEC("fentry/security_file_open")
int BPF_PROG(file_open__fentry, struct file *file)
{
    on_file_open(file);
    return 0;
}

SEC("kprobe/security_file_open")
int BPF_KPROBE(file_open__kprobe, struct file *file)
{
    on_file_open(file);
    return 0;
}

SEC("lsm/file_receive")
int BPF_PROG(file_receive__lsm, struct file *file, int result)
{
    if (!result)
        on_file_receive(file);
    return result;
}

SEC("fexit/security_file_receive")
int BPF_PROG(file_receive__fentry, struct file *file, int result)
{
    if (!result)
        on_file_receive(file);
    return 0;
}

SEC("kprobe/security_file_receive")
int BPF_KPROBE(file_receive__kprobe, struct file *file)
{
    on_file_receive(file);
    return 0;
}

SEC("raw_tracepoint/sys_enter")
int sys_enter__any(struct bpf_raw_tracepoint_args *context)
{
    on_enter((struct pt_regs *)context->args[0], context->args[1]);
    return 0;
}

SEC("raw_tracepoint/sys_exit")
int sys_exit__any(struct bpf_raw_tracepoint_args *context)
{
    struct pt_regs *regs = (struct pt_regs *)context->args[0];
    __u32 direction;

    on_exit_of(regs, context->args[1]);
    /* Only what may pass bytes costs more than this. */
    if (passing_of((__u32)BPF_CORE_READ(regs, orig_ax), &direction))
        bpf_tail_call(context, &called, 0);
    return 0;
}

/* Called by the one before, which has no stack left; and a watch goes on without it. */
SEC("raw_tracepoint/sys_exit")
int sys_exit_passing__called(struct bpf_raw_tracepoint_args *context)
{
    on_passed((struct pt_regs *)context->args[0], context->args[1]);
    return 0;
}

SEC("raw_tracepoint/io_uring_submit_req")
int io_uring_submit_req__option(struct bpf_raw_tracepoint_args *context)
{
    on_submitted((struct io_kiocb *)context->args[0]);
    return 0;
}

/* Its name before Linux 6.4. */
SEC("raw_tracepoint/io_uring_submit_sqe")
int io_uring_submit_sqe__option(struct bpf_raw_tracepoint_args *context)
{
    on_submitted((struct io_kiocb *)context->args[0]);
    return 0;
}

SEC("raw_tracepoint/io_uring_complete")
int io_uring_complete__option(struct bpf_raw_tracepoint_args *context)
{
    on_completed((struct io_kiocb *)context->args[1]);
    return 0;
}

SEC("raw_tracepoint/io_uring_complete")
int io_uring_passing__option(struct bpf_raw_tracepoint_args *context)
{
    on_ring_passed((struct io_kiocb *)context->args[1]);
    return 0;
}

SEC("raw_tracepoint/inet_sock_set_state")
int inet_sock_set_state__option(struct bpf_raw_tracepoint_args *context)
{
    if (context->args[2] == TCP_SYN_SENT)
        on_syn_sent((struct sock *)context->args[0]);
    return 0;
}

SEC("raw_tracepoint/sched_process_fork")
int sched_process_fork__any(struct bpf_raw_tracepoint_args *context)
{
    on_fork((struct task_struct *)context->args[1]);
    return 0;
}

SEC("raw_tracepoint/sched_process_exec")
int sched_process_exec__any(struct bpf_raw_tracepoint_args *context)
{
    on_exec((struct task_struct *)context->args[0]);
    return 0;
}

SEC("raw_tracepoint/sched_process_exit")
int sched_process_exit__any(struct bpf_raw_tracepoint_args *context)
{
    on_exit((struct task_struct *)context->args[0]);
    return 0;
}

SEC("raw_tracepoint/task_rename")
int task_rename__option(struct bpf_raw_tracepoint_args *context)
{
    on_rename((struct task_struct *)context->args[0], (const char *)context->args[1]);
    return 0;
}

SEC("raw_tracepoint/cgroup_attach_task")
int cgroup_attach_task__option(struct bpf_raw_tracepoint_args *context)
{
    on_cgroup((struct cgroup *)context->args[0], (struct task_struct *)context->args[2]);
    return 0;
}
