/* An access as a record in the ring. */
#pragma once

#include "context.h"
#include "identity.h"
#include "maps.h"
#include "record.h"
#include "text.h"

/* What is known of an access before it is told, with kernel addresses as numbers. `address`: `length` bytes, or with none
 * up to its NUL; `bound`: the socket that has the listener's name.
 */
struct access {
    struct reached reached;
    __u64 bound;
    __u64 address;
    __u32 length;
    __u32 action;
    __s32 result;
    __u32 verdict;
    __u32 flags;
    __u32 family;
    __u32 open_flags;
    __u32 hook;
    __u32 abi;
};

static __always_inline void put_given_text(struct text_record *record, __u32 *at, const struct access *access)
{
    __u64 length = access->length;
    PIN(length);
    if (!length) {
        if (put_part(&record->region, at, (void *)access->address))
            record->fixed.lengths[TEXT_GIVEN] = *at;
    } else if (length <= 128 && !bpf_probe_read_kernel(record->region.text, length, (void *)access->address)) {
        record->fixed.lengths[TEXT_GIVEN] = length;
        *at = length;
    }
}

static __always_inline void put_bound(struct text_record *record, __u32 *at, struct sock *sk)
{
    struct bound bound = name_of(sk);
    __u64 here = *at, length = (__u32)bound.length;
    PIN(here);
    PIN(length);
    if (!bound.name || length < 2 || length > LONGEST_ADDRESS || here > REGION - LONGEST_PART)
        return;
    if (!bpf_probe_read_kernel(record->region.text + here, length, bound.name)) {
        record->fixed.lengths[TEXT_BOUND] = length;
        *at = here + (length);
    }
}

static __always_inline void put_executable(struct record *record, struct region *region, __u32 *at,
                                           struct task_struct *task)
{
    struct file *file = BPF_CORE_READ(task, mm, exe_file);
    if (!file)
        return;
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    record->executable_inode = BPF_CORE_READ(inode, i_ino);
    record->executable_device = BPF_CORE_READ(inode, i_sb, s_dev);
    __u32 put = put_path(region, *at, (__u64)&file->f_path);
    if (put & IS_CUT)
        record->flags |= FLAG_CUT_EXECUTABLE;
    if (put & IS_DELETED)
        record->flags |= FLAG_DELETED;
    record->lengths[TEXT_EXECUTABLE] = (put & POSITION) - *at;
    *at = put & POSITION;
}

static __always_inline void put_directory(struct record *record, struct region *region, __u32 *at,
                                          struct task_struct *task)
{
    struct fs_struct *fs = BPF_CORE_READ(task, fs);
    if (!fs)
        return;
    __u32 put = put_path(region, *at, (__u64)&fs->pwd);
    if (put & (IS_CUT | IS_DELETED))
        record->flags |= FLAG_CUT_DIRECTORY;
    record->lengths[TEXT_DIRECTORY] = (put & POSITION) - *at;
    *at = put & POSITION;
}

static __always_inline void put_cgroup_of(struct record *record, struct region *region, __u32 *at,
                                          struct task_struct *task)
{
    __u8 controller;
    struct cgroup *cgroup = cgroup_of(task, &controller);
    __u32 put = put_cgroup(region, *at, (__u64)BPF_CORE_READ(cgroup, kn));
    if (put & IS_CUT)
        record->flags |= FLAG_CUT_CGROUP;
    record->lengths[TEXT_CGROUP] = (put & POSITION) - *at;
    *at = put & POSITION;
}

/* Of struct record. Without a file it is the name as bound, or the port. */
__noinline __u64 place_of(struct access *access)
{
    __u64 file = 0;
    __u16 port = 0;

    if (!access || access->verdict != VERDICT_WATCHED)
        return 0;
    file = access->reached.file;
    if (file)
        return file << 1 | 1;
    if (access->bound) {
        struct bound bound = name_of((struct sock *)access->bound);
        return hash_of_name((__u64)bound.name, bound.length) | 1;
    }
    bpf_probe_read_kernel(&port, sizeof(port), (void *)access->address + 2);
    return (__u64)port << 1 | 1;
}

__noinline int tell(struct access *access)
{
    struct task_struct *task = current();
    __u64 start = BPF_CORE_READ(task, group_leader, start_time);
    __u32 at = 0;

    if (!access)
        return 0;
    count(COUNT_ACCESSES);
    __u64 place = place_of(access);
    if (!may_tell(access->action, place, start, whole_per_second))
        return 0;
    struct text_record *record = bpf_ringbuf_reserve(&accesses, sizeof(*record), 0);
    if (!record) {
        count(COUNT_DROPPED);
        return 0;
    }
    __builtin_memset(&record->fixed, 0, sizeof(record->fixed));
    record->fixed.kind = KIND_ACCESS;
    record->fixed.reached = access->reached;
    record->fixed.action = access->action;
    record->fixed.result = access->result;
    record->fixed.verdict = access->verdict;
    record->fixed.flags = access->flags;
    record->fixed.family = access->family;
    record->fixed.open_flags = access->open_flags;
    record->fixed.place = place;
    put_who(&record->fixed.who, task, access->hook);
    record->fixed.who.abi = access->abi;
    if (access->address)
        put_given_text(record, &at, access);
    if (access->bound)
        put_bound(record, &at, (struct sock *)access->bound);
    put_executable(&record->fixed, &record->region, &at, task);
    put_directory(&record->fixed, &record->region, &at, task);
    put_cgroup_of(&record->fixed, &record->region, &at, task);
    count(COUNT_TOLD);
    bpf_ringbuf_submit(record, 0);
    return 0;
}
