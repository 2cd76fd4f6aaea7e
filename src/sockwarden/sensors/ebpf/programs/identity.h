/* Which socket: by the listener itself, the file that it is bound to, or its name; and whether that is watched. */
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "record.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SOCKFS_MAGIC 0x534F434B
/* A socket address at its longest, sun_family and sun_path. */
#define LONGEST_ADDRESS 110

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

struct bound {
    const char *name;
    int length;
};

static __always_inline __u64 inode_of(struct socket *socket)
{
    if (!socket)
        return 0;
    struct inode *inode = (void *)socket - bpf_core_field_offset(struct socket_alloc, socket) +
                          bpf_core_field_offset(struct socket_alloc, vfs_inode);
    return BPF_CORE_READ(inode, i_ino);
}

static __always_inline __u64 inode_of_socket(struct sock *sk)
{
    return inode_of(BPF_CORE_READ(sk, sk_socket));
}

static __always_inline void put_file(struct reached *reached, struct inode *inode)
{
    reached->file = BPF_CORE_READ(inode, i_ino);
    reached->device = BPF_CORE_READ(inode, i_sb, s_dev);
}

/* Of a socket that listens, or of one that was made for a connection to it, which has the same name and file. */
static __always_inline void put_bound_file(struct reached *reached, struct sock *sk)
{
    struct unix_sock *unix = (void *)sk;
    struct dentry *dentry = BPF_CORE_READ(unix, path.dentry);
    if (dentry)
        put_file(reached, BPF_CORE_READ(dentry, d_inode));
}

static __always_inline struct bound name_of(struct sock *sk)
{
    struct unix_sock *unix = (void *)sk;
    struct unix_address *address = BPF_CORE_READ(unix, addr);
    struct bound bound = {};
    if (address) {
        bound.name = (void *)address + bpf_core_field_offset(struct unix_address, name);
        bound.length = BPF_CORE_READ(address, len);
    }
    return bound;
}

/* FNV-1a over an address without its family. With `last_part`, only of what follows the last slash. A path ends at its
 * NUL, an abstract name where the address ends.
 */
__noinline __u64 hash_of(struct call *call, __u32 last_part)
{
    __u64 hash = FNV_START;
    if (!call)
        return 0;
    for (__u32 i = 2; i < LONGEST_ADDRESS; i++) {
        if (i >= call->length || (call->address[2] && !call->address[i]))
            break;
        if (last_part && call->address[i] == '/')
            hash = FNV_START;
        else
            hash = (hash ^ call->address[i]) * FNV_PRIME;
    }
    return hash;
}

/* The same over a name in kernel memory, eight bytes at a time: the verifier allows 512 bytes of stack for all calls that
 * are under way.
 */
__noinline __u64 hash_of_name(__u64 name, __u32 length)
{
    __u64 hash = FNV_START;
    __u64 part = 0;
    bool is_path = false;

    for (__u32 i = 0; i < LONGEST_ADDRESS - 2; i++) {
        if (i + 2 >= length)
            break;
        if (i % 8 == 0 && bpf_probe_read_kernel(&part, sizeof(part), (void *)(name + 2 + i)))
            break;
        __u8 byte = part >> (i % 8 * 8);
        if (i == 0)
            is_path = byte;
        if (is_path && !byte)
            break;
        hash = (hash ^ byte) * FNV_PRIME;
    }
    return hash;
}

/* An address as a number: a pointer that the verifier knows the type of cannot be passed as one before Linux 6.8. */
static __always_inline __u64 number_of(const void *pointer)
{
    __u64 number = 0;
    bpf_probe_read_kernel(&number, sizeof(number), &pointer);
    return number;
}

/* Whether it is known by the listener alone that a socket is of no interest: most are, and nothing else need be read. */
static __always_inline bool is_left_alone(__u64 listener)
{
    return listener && !has(&watched, BY_LISTENER, 0, listener) && has(&left_alone, BY_LISTENER, 0, listener);
}

/* The socket itself decides where it is known. Else its file does; else, where that was let go of already, its name. */
__noinline int verdict_on(struct reached *reached, __u64 socket)
{
    struct sock *sk = (void *)socket;
    __u64 name = 0;
    __u32 space = 0;

    if (!reached)
        return VERDICT_UNDECIDED;
    if (reached->listener) {
        if (has(&watched, BY_LISTENER, 0, reached->listener))
            return VERDICT_WATCHED;
        if (has(&left_alone, BY_LISTENER, 0, reached->listener))
            return VERDICT_IGNORED;
        if (reached->file && has(&watched, BY_FILE, reached->device, reached->file))
            return VERDICT_WATCHED;
        return VERDICT_UNDECIDED;
    }
    if (reached->file) {
        if (has(&watched, BY_FILE, reached->device, reached->file))
            return VERDICT_WATCHED;
        return has(&left_alone, BY_FILE, reached->device, reached->file) ? VERDICT_IGNORED : VERDICT_UNDECIDED;
    }
    struct bound bound = name_of(sk);
    if (!bound.name)
        /* Not bound to anything: nobody's listener (socketpair). */
        return VERDICT_IGNORED;
    char first = 0;
    bpf_probe_read_kernel(&first, 1, bound.name + 2);
    if (!first)
        space = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    name = hash_of_name((__u64)bound.name, bound.length);
    if (has(&watched, BY_NAME, space, name))
        return VERDICT_WATCHED;
    return has(&left_alone, BY_NAME, space, name) ? VERDICT_IGNORED : VERDICT_UNDECIDED;
}

static __always_inline struct sock *sock_of(struct file *file)
{
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    if (!inode || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK ||
        BPF_CORE_READ(inode, i_sb, s_magic) != SOCKFS_MAGIC)
        return NULL;
    struct socket *socket = BPF_CORE_READ(file, private_data);
    return BPF_CORE_READ(socket, sk);
}

static __always_inline struct file *file_at(__s32 descriptor)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file *file = NULL;

    if (descriptor < 0 || descriptor >= BPF_CORE_READ(table, max_fds))
        return NULL;
    struct file **files = BPF_CORE_READ(table, fd);
    bpf_probe_read_kernel(&file, sizeof(file), &files[descriptor]);
    return file;
}

/* Of a connected socket, the other end: the socket that was made for the connection. What it was made of is told only
 * until it is accepted; its name and file are the listener's as long as it is open.
 */
static __always_inline struct sock *peer_of(struct sock *sk, struct reached *reached)
{
    if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
        return NULL;
    struct unix_sock *unix = (void *)sk;
    struct sock *peer = BPF_CORE_READ(unix, peer);
    if (!peer)
        return NULL;
    struct unix_sock___listener *pending = (void *)peer;
    if (bpf_core_field_exists(pending->listener)) {
        struct sock *listener = BPF_CORE_READ(pending, listener);
        if (listener)
            reached->listener = inode_of_socket(listener);
    }
    put_bound_file(reached, peer);
    struct pid *connector = BPF_CORE_READ(peer, sk_peer_pid);
    if (connector)
        reached->connector = BPF_CORE_READ(connector, numbers[0].nr);
    reached->client = inode_of_socket(sk);
    return peer;
}
