/* Forks, execs, exits, renames and moves between cgroups, for the cache of who is who. */
#pragma once

#include "context.h"
#include "descriptors.h"
#include "tell.h"


/* New listeners of one process that are told in a second. */
#define MOST_LISTENS 64

static __always_inline void begin(struct record *record, __u32 kind, struct task_struct *task)
{
    count(COUNT_PROCESSES);
    __builtin_memset(record, 0, sizeof(*record));
    record->kind = kind;
    put_who(&record->who, task, 0);
}

static __always_inline void put_command(struct exec_record *record, struct task_struct *task)
{
    unsigned long start = BPF_CORE_READ(task, mm, arg_start);
    unsigned long size = BPF_CORE_READ(task, mm, arg_end) - start;
    if (size >= COMMAND) {
        size = COMMAND - 1;
        record->fixed.flags |= FLAG_CUT_COMMAND;
    }
    if (size && !bpf_probe_read_user(record->command, size & (COMMAND - 1), (void *)start))
        record->fixed.lengths[TEXT_COMMAND] = size;
}

static __always_inline void on_exec(struct task_struct *task)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32, at = 0;
    struct exec_record *record = bpf_ringbuf_reserve(&processes, sizeof(*record), 0);
    if (record) {
        begin(&record->fixed, KIND_EXEC, task);
        put_command(record, task);
        put_executable(&record->fixed, &record->region, &at, task);
        put_directory(&record->fixed, &record->region, &at, task);
        put_cgroup_of(&record->fixed, &record->region, &at, task);
        bpf_ringbuf_submit(record, 0);
    } else {
        count(COUNT_PROCESSES_DROPPED);
    }
    if (bpf_map_lookup_elem(&holders, &pid))
        on_inherited(task);
}

/* A process, with its cgroup alone, and who forked it or moved it there. */
static __always_inline void tell_place(__u32 kind, struct task_struct *task)
{
    __u32 at = 0;
    struct text_record *record = bpf_ringbuf_reserve(&processes, sizeof(*record), 0);
    if (!record) {
        count(COUNT_PROCESSES_DROPPED);
        return;
    }
    begin(&record->fixed, kind, task);
    record->fixed.reached.connector = bpf_get_current_pid_tgid() >> 32;
    put_cgroup_of(&record->fixed, &record->region, &at, task);
    bpf_ringbuf_submit(record, 0);
}

static __always_inline void on_fork(struct task_struct *child)
{
    __u32 parent = bpf_get_current_pid_tgid() >> 32, pid = BPF_CORE_READ(child, tgid);
    if (BPF_CORE_READ(child, pid) != pid)
        return;
    __u8 *holds = bpf_map_lookup_elem(&holders, &parent);
    if (holds) {
        __u8 one = 1;
        bpf_map_update_elem(&holders, &pid, &one, BPF_ANY);
    }
    tell_place(KIND_FORK, child);
}

static __always_inline void on_cgroup(struct cgroup *to, struct task_struct *task)
{
    __u8 controller;
    if (cgroup_of(task, &controller) == to && BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid))
        tell_place(KIND_CGROUP, task);
}

static __always_inline struct record *bare(__u32 kind, struct task_struct *task)
{
    struct record *record = bpf_ringbuf_reserve(&processes, sizeof(*record), 0);
    if (!record) {
        count(COUNT_PROCESSES_DROPPED);
        return NULL;
    }
    begin(record, kind, task);
    return record;
}

static __always_inline void on_exit(struct task_struct *task)
{
    __u32 pid = BPF_CORE_READ(task, tgid);
    /* The last thread has just been counted off (kernel/exit.c, do_exit). */
    if (BPF_CORE_READ(task, signal, live.counter))
        return;
    bpf_map_delete_elem(&holders, &pid);
    struct record *record = bare(KIND_EXIT, task);
    if (record)
        bpf_ringbuf_submit(record, 0);
}

static __always_inline void on_rename(struct task_struct *task, const char *name)
{
    if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
        return;
    if (bpf_core_field_exists(task->in_execve) && BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
        return;
    struct record *record = bare(KIND_RENAME, task);
    if (!record)
        return;
    bpf_probe_read_kernel_str(record->who.comm, sizeof(record->who.comm), name);
    bpf_ringbuf_submit(record, 0);
}

/* A socket has begun to listen: whatever was decided of its inode, or its file's, was of an earlier one. */
static __always_inline void on_listen(__s32 descriptor)
{
    struct reached reached = {};
    struct task_struct *task = current();
    struct sock *sk = sock_of(file_at(descriptor));
    if (!sk)
        return;
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
        return;
    reached.listener = inode_of_socket(sk);
    struct identity listener = {.kind = BY_LISTENER, .number = reached.listener};
    bpf_map_delete_elem(&left_alone, &listener);
    if (family == AF_UNIX) {
        put_bound_file(&reached, sk);
        struct identity file = {.kind = BY_FILE, .space = reached.device, .number = reached.file};
        bpf_map_delete_elem(&left_alone, &file);
    }
    if (!may_tell(ACTION_LISTEN, 0, BPF_CORE_READ(task, group_leader, start_time), MOST_LISTENS))
        return;
    struct record *record = bare(KIND_LISTEN, task);
    if (!record)
        return;
    record->reached = reached;
    record->family = family;
    bpf_ringbuf_submit(record, 0);
}
