/* Opens of a socket file. They fail, with ENXIO (net/socket.c, sock_no_open): what is told is that one tried. With O_PATH
 * they give a descriptor of the file, by which a later connect may name it.
 */
#pragma once

#include "tell.h"

#define ENXIO 6
#define EACCES 13
#define EPERM 1
#define ELOOP 40
#define O_PATH 010000000

/* At security_file_open: the file is known, whatever name it was found by. */
static __always_inline void on_file_open(struct file *file)
{
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct reached reached = {};
    __u64 thread = bpf_get_current_pid_tgid();

    if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
        return;
    put_file(&reached, inode);
    if (has(&watched, BY_FILE, reached.device, reached.file))
        bpf_map_update_elem(&opened, &thread, &reached, BPF_ANY);
}

__noinline __u64 hash_of_last_part(struct opening *opening)
{
    __u64 hash = FNV_START;
    if (!opening)
        return 0;
    for (int i = 0; i < LONGEST_PART; i++) {
        if (!opening->name[i])
            break;
        hash = opening->name[i] == '/' ? FNV_START : (hash ^ (__u8)opening->name[i]) * FNV_PRIME;
    }
    return hash;
}

/* The socket file that a descriptor of O_PATH is of; false where it is of another, or one that is not watched. */
static __always_inline bool is_of_socket(__s32 descriptor, struct reached *reached)
{
    struct file *file = file_at(descriptor);
    struct inode *inode = file ? BPF_CORE_READ(file, f_inode) : NULL;
    if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
        return false;
    put_file(reached, inode);
    return has(&watched, BY_FILE, reached->device, reached->file);
}

/* At the end of an open. `opening`: the name as given, empty for open_by_handle_at. Where the file of one that failed is not
 * known by a hook, what the name leads to is looked up by its reader.
 */
__noinline int on_open(struct opening *opening, __s32 result, __u32 abi, __u32 hook)
{
    struct access access = {.action = ACTION_OPEN, .result = result, .family = AF_UNIX, .hook = hook, .abi = abi};
    __u64 thread = bpf_get_current_pid_tgid();
    struct reached *found = bpf_map_lookup_elem(&opened, &thread);

    if (!opening)
        return 0;
    access.verdict = VERDICT_UNDECIDED;
    if (result >= 0) {
        if (!(opening->flags & O_PATH) || !is_of_socket(result, &access.reached))
            return 0;
        access.result = 0;
        access.verdict = VERDICT_WATCHED;
    } else if (found) {
        access.reached = *found;
        access.verdict = VERDICT_WATCHED;
        bpf_map_delete_elem(&opened, &thread);
    } else if (result == -EACCES || result == -EPERM || result == -ELOOP) {
        if (!has(&watched, BY_LAST_PART, 0, hash_of_last_part(opening)))
            return 0;
    } else if (result != -ENXIO || rung != RUNG_TRACEPOINT) {
        return 0;
    }
    access.address = (__u64)opening->name;
    access.open_flags = opening->flags;
    tell(&access);
    return 0;
}
