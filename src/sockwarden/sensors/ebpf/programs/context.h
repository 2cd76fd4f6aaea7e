/* Who: everything of the current task that says who it is. */
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "record.h"

/* arch/x86/include/asm/thread_info.h: the call came by the 32-bit entry. */
#define TS_COMPAT 2
#define X32_BIT 0x40000000
/* include/linux/sched.h: a thread that io_uring has made. */
#define PF_IO_WORKER 0x10

static __always_inline struct task_struct *current(void)
{
    return (struct task_struct *)bpf_get_current_task();
}

/* The same for one whose type the verifier knows: read without a helper. */
static __always_inline __u8 abi_here(__u64 number)
{
    if (bpf_get_current_task_btf()->thread_info.status & TS_COMPAT)
        return ABI_I386;
    return number & X32_BIT ? ABI_X32 : ABI_X86_64;
}

static __always_inline __u8 abi_of(struct task_struct *task, __u64 number)
{
    if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT)
        return ABI_I386;
    return number & X32_BIT ? ABI_X32 : ABI_X86_64;
}

/* The cgroup that names a container: of the unified hierarchy, or where controllers have hierarchies of their own, of one
 * that container runtimes always use.
 */
static __always_inline struct cgroup *cgroup_of(struct task_struct *task, __u8 *controller)
{
    struct css_set *set = BPF_CORE_READ(task, cgroups);
    struct cgroup *unified = BPF_CORE_READ(set, dfl_cgrp);
    struct cgroup_root *root = BPF_CORE_READ(unified, root);
    struct cgroup_subsys_state **states = (void *)set + bpf_core_field_offset(struct css_set, subsys);
    int tried[3] = {
        bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)
            ? bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id) : -1,
        bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)
            ? bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) : -1,
        bpf_core_enum_value_exists(enum cgroup_subsys_id, devices_cgrp_id)
            ? bpf_core_enum_value(enum cgroup_subsys_id, devices_cgrp_id) : -1,
    };

    *controller = 0;
#pragma unroll
    for (int i = 0; i < 3; i++) {
        struct cgroup_subsys_state *state = NULL;
        if (tried[i] < 0)
            continue;
        bpf_probe_read_kernel(&state, sizeof(state), &states[tried[i]]);
        struct cgroup *cgroup = BPF_CORE_READ(state, cgroup);
        if (cgroup && BPF_CORE_READ(cgroup, root) != root) {
            *controller = i + 1;
            return cgroup;
        }
    }
    return unified;
}

static __always_inline void put_ids(struct context *who, struct task_struct *task)
{
    const struct cred *cred = BPF_CORE_READ(task, cred);
    who->uid = BPF_CORE_READ(cred, uid.val);
    who->euid = BPF_CORE_READ(cred, euid.val);
    who->suid = BPF_CORE_READ(cred, suid.val);
    who->fsuid = BPF_CORE_READ(cred, fsuid.val);
    who->gid = BPF_CORE_READ(cred, gid.val);
    who->egid = BPF_CORE_READ(cred, egid.val);
    who->sgid = BPF_CORE_READ(cred, sgid.val);
    who->fsgid = BPF_CORE_READ(cred, fsgid.val);
    bpf_core_read(&who->capabilities, sizeof(who->capabilities), &cred->cap_effective);
    who->user_ns = BPF_CORE_READ(cred, user_ns, ns.inum);
    who->auid = who->session = (__u32)-1;
    if (bpf_core_field_exists(task->loginuid)) {
        who->auid = BPF_CORE_READ(task, loginuid.val);
        who->session = BPF_CORE_READ(task, sessionid);
    }
}

static __always_inline void put_namespaces(struct context *who, struct task_struct *task)
{
    struct nsproxy *spaces = BPF_CORE_READ(task, nsproxy);
    if (spaces) {
        who->mount_ns = BPF_CORE_READ(spaces, mnt_ns, ns.inum);
        who->net_ns = BPF_CORE_READ(spaces, net_ns, ns.inum);
    }
    /* The namespace it lives in, and not that of its children to come (kernel/pid.c, task_active_pid_ns). */
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    unsigned int level = BPF_CORE_READ(pid, level);
    struct upid *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
    struct upid *deepest = (void *)numbers + level * bpf_core_type_size(struct upid);
    who->pid_ns = BPF_CORE_READ(deepest, ns, ns.inum);
}

static __always_inline void put_who(struct context *who, struct task_struct *task, __u8 hook)
{
    who->time = bpf_ktime_get_ns();
    who->start = BPF_CORE_READ(task, group_leader, start_time);
    who->pid = BPF_CORE_READ(task, tgid);
    who->tid = BPF_CORE_READ(task, pid);
    who->execs = BPF_CORE_READ(task, self_exec_id);
    who->parent = BPF_CORE_READ(task, real_parent, tgid);
    put_ids(who, task);
    put_namespaces(who, task);
    who->seccomp = bpf_core_field_exists(task->seccomp) ? BPF_CORE_READ(task, seccomp.mode) : 0;
    who->hook = hook;
    BPF_CORE_READ_STR_INTO(&who->comm, task, comm);
    struct cgroup *cgroup = cgroup_of(task, &who->controller);
    who->hierarchy = BPF_CORE_READ(cgroup, root, hierarchy_id);
    who->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
}
