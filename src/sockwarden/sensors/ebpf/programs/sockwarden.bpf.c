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
        on_stream_connect(sk, other, inode_of(other->sk_socket));
    return result;
}

SEC("fexit/security_unix_stream_connect")
int BPF_PROG(unix_stream_connect__fentry, struct sock *sk, struct sock *other, struct sock *made, int result)
{
    if (!result)
        on_stream_connect(sk, other, inode_of(other->sk_socket));
    return 0;
}

SEC("kprobe/security_unix_stream_connect")
int BPF_KPROBE(unix_stream_connect__kprobe, struct sock *sk, struct sock *other)
{
    on_stream_connect(sk, other, inode_of_socket(other));
    return 0;
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

/* Every call of every thread comes by here, and on the last rung by its entry, too. With the kernel's types (tp_btf) its
 * registers are read where they are, without a helper, and a look into a table is all that most pay.
 */
SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter__tracepoint, struct pt_regs *regs, long number)
{
    if (interest_in((__u64)number) & AT_ENTRY)
        on_enter(regs, number);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit__any, struct pt_regs *regs, long result)
{
    __u32 interest = interest_in((__u32)regs->orig_ax);

    if (interest & AT_EXIT)
        on_exit_of(regs, result);
    if (interest & PASSES && (interest & ACCEPTS || may_serve()))
        bpf_tail_call(ctx, &called, 0);
    return 0;
}

/* Called by the one before, which has no stack left; and a watch goes on without it. */
SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit_passing__called, struct pt_regs *regs, long result)
{
    on_passed(regs, result);
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
