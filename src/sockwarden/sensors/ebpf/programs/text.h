/* Text behind a record: each piece is put at the end of what is there already.
 *
 * Functions that are not static are verified once and not at each call: that keeps programs within the verifier's limits.
 * What such a function returns is a position in the region, and above it flags.
 */
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "record.h"

#define LONGEST_PART 256
/* How deep a path or cgroup is walked. */
#define DEEPEST 40
#define POSITION 0xffff
#define IS_CUT 0x10000
#define IS_DELETED 0x20000

/* One string of the kernel's, with its NUL. False where there is no room, or it cannot be read. */
static __always_inline bool put_part(struct region *region, __u32 *at, const void *name)
{
    __u64 here = *at;
    PIN(here);
    if (here > REGION - LONGEST_PART)
        return false;
    long size = bpf_probe_read_kernel_str(region->text + here, LONGEST_PART, name);
    if (size <= 0)
        return false;
    *at = here + size;
    return true;
}

static __always_inline struct mount *mount_of(struct vfsmount *mount)
{
    return (struct mount *)((char *)mount - bpf_core_field_offset(struct mount, mnt));
}

/* A path (a struct path's address) by its components, the last one first, up to the root of the mount namespace
 * (fs/d_path.c, prepend_path): also out of a chroot, whose inside a process may have arranged.
 */
__noinline int put_path(struct region *region, __u32 at, __u64 address)
{
    struct path *path = (void *)address;
    struct dentry *dentry = BPF_CORE_READ(path, dentry);
    struct vfsmount *mnt = BPF_CORE_READ(path, mnt);
    struct mount *mount = mount_of(mnt);
    struct dentry *root = BPF_CORE_READ(mnt, mnt_root);
    struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
    __u32 flags = 0;

    if (!region)
        return 0;
    if (dentry == parent && dentry != root) {
        /* A file without a place, as of memfd_create: its one component is what it was called. */
        if (!put_part(region, &at, BPF_CORE_READ(dentry, d_name.name)))
            return at | IS_CUT;
        return at | IS_DELETED;
    }
    if (dentry != parent && !BPF_CORE_READ(dentry, d_hash.pprev))
        flags = IS_DELETED;
    for (int depth = 0; depth < DEEPEST; depth++) {
        if (dentry == root) {
            struct mount *above = BPF_CORE_READ(mount, mnt_parent);
            if (above == mount)
                return at | flags;
            dentry = BPF_CORE_READ(mount, mnt_mountpoint);
            mount = above;
            root = BPF_CORE_READ(mount, mnt.mnt_root);
            continue;
        }
        parent = BPF_CORE_READ(dentry, d_parent);
        if (parent == dentry)
            return at | flags;
        if (!put_part(region, &at, BPF_CORE_READ(dentry, d_name.name)))
            break;
        dentry = parent;
    }
    return at | flags | IS_CUT;
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
    struct kernfs_node___rcu *now = (void *)node;
    if (bpf_core_field_exists(now->__parent))
        return BPF_CORE_READ(now, __parent);
    return BPF_CORE_READ(node, parent);
}

/* A cgroup (its kernfs_node's address) by its components, the last one first, without the nameless root. */
__noinline int put_cgroup(struct region *region, __u32 at, __u64 address)
{
    struct kernfs_node *node = (void *)address;

    if (!region)
        return 0;
    for (int depth = 0; depth < DEEPEST; depth++) {
        struct kernfs_node *parent = parent_of(node);
        if (!parent)
            return at;
        if (!put_part(region, &at, BPF_CORE_READ(node, name)))
            break;
        node = parent;
    }
    return at | IS_CUT;
}
