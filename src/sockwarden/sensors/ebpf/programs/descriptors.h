/* Connections that move: received with SCM_RIGHTS, taken with pidfd_getfd, kept over an exec. */
#pragma once

#include "connect.h"
#include "tell.h"

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
/* Descriptors and messages that are looked at; the kernel passes 253 in one message (include/net/scm.h). */
#define MOST_DESCRIPTORS 256
#define MOST_CONTROLS 4
#define MOST_MESSAGES 1024
/* Of 64 descriptors each. */
#define MOST_WORDS 1024

/* A connection's client end that has come to the current process. The other end tells who had connected. */
static __always_inline void on_moved(struct file *file, __u32 action, __u32 abi, __u32 hook)
{
    struct access access = {.action = action, .family = AF_UNIX, .hook = hook, .abi = abi};
    struct sock *peer = file ? peer_of(sock_of(file), &access.reached) : NULL;
    if (!peer)
        return;
    access.verdict = verdict_on(&access.reached, (__u64)peer);
    if (access.verdict == VERDICT_IGNORED)
        return;
    access.bound = (__u64)peer;
    if (access.verdict == VERDICT_WATCHED)
        note_holder();
    tell(&access);
}

/* Not static: the verifier then looks at it once, and not for every descriptor. */
__noinline int look_at(__s32 descriptor, __u32 action, __u32 abi, __u32 hook)
{
    on_moved(file_at(descriptor), action, abi, hook);
    return 0;
}

/* The descriptors that a control message has brought. What is read is the receiver's memory: another thread of his may
 * have written over it, and the sweep then finds the connection.
 */
static __always_inline void look_at_control(__u64 data, __u32 bytes, __u32 abi)
{
    for (__u32 i = 0; i < MOST_DESCRIPTORS; i++) {
        __s32 descriptor = -1;
        if ((i + 1) * sizeof(descriptor) > bytes || bpf_probe_read_user(&descriptor, 4, (void *)(data + i * 4)))
            break;
        look_at(descriptor, ACTION_RECEIVE, abi, HOOK_SYS_EXIT);
    }
}

/* struct user_msghdr and cmsghdr (include/linux/socket.h), of 64 and of 32 bits. */
__noinline int look_at_message(__u64 message, __u32 abi)
{
    bool narrow = abi != ABI_X86_64;
    __u64 control = 0, size = 0;
    bpf_probe_read_user(&control, narrow ? 4 : 8, (void *)(message + (narrow ? 16 : 32)));
    bpf_probe_read_user(&size, narrow ? 4 : 8, (void *)(message + (narrow ? 20 : 40)));

    __u64 end = control + size, head = narrow ? 12 : 16, align = narrow ? 4 : 8;
    for (int i = 0; i < MOST_CONTROLS; i++) {
        __u64 length = 0;
        __s32 kind[2] = {};
        if (!control || control + head > end)
            break;
        bpf_probe_read_user(&length, narrow ? 4 : 8, (void *)control);
        bpf_probe_read_user(kind, sizeof(kind), (void *)(control + (narrow ? 4 : 8)));
        if (length < head)
            break;
        if (kind[0] == SOL_SOCKET && kind[1] == SCM_RIGHTS)
            look_at_control(control + head, length - head, abi);
        control += (length + align - 1) & ~(align - 1);
    }
    return 0;
}

static __always_inline void on_messages(__u64 messages, long received, __u32 abi)
{
    for (int i = 0; i < MOST_MESSAGES; i++) {
        if (i >= received)
            break;
        look_at_message(messages + i * (abi == ABI_X86_64 ? 64 : 32), abi);
    }
}

__noinline int look_at_word(__u64 word, __s32 first)
{
    for (__u32 i = 0; i < 64; i++)
        if (word >> i & 1)
            look_at(first + i, ACTION_INHERIT, ABI_X86_64, HOOK_PROCESS_EXEC);
    return 0;
}

/* At an exec: descriptors that are to be closed on exec are closed by now. */
static __always_inline void on_inherited(struct task_struct *task)
{
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    unsigned long *words = BPF_CORE_READ(table, open_fds);
    unsigned int most = BPF_CORE_READ(table, max_fds);

    for (__u32 i = 0; i < MOST_WORDS; i++) {
        unsigned long word = 0;
        if (i * 64 >= most || bpf_probe_read_kernel(&word, sizeof(word), &words[i]))
            return;
        if (word)
            look_at_word(word, i * 64);
    }
    if (most > MOST_WORDS * 64)
        count(COUNT_DROPPED);
}
