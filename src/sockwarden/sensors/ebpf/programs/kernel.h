/* The kernel's types, as far as they are read here. Each access is relocated by libbpf to where the running kernel has the
 * field (CO-RE), so that only names count; where a name has changed, both are given.
 */
#pragma once

/* In place of bpftool's vmlinux.h, which libbpf's headers ask for by this. */
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h */
enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PROG_ARRAY = 3,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_RINGBUF = 27,
    BPF_MAP_TYPE_TASK_STORAGE = 29,
};
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_AVAIL_DATA 0
#define BPF_F_MMAPABLE (1U << 10)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    unsigned int val;
} kuid_t;

typedef struct {
    unsigned int val;
} kgid_t;

/* arch/x86/include/asm/ptrace.h */
struct pt_regs {
    unsigned long r10, r9, r8, cx, dx, si, di, bx, bp, ax, orig_ax;
};

struct qstr {
    const unsigned char *name;
};

struct hlist_bl_node {
    struct hlist_bl_node **pprev;
};

struct super_block {
    __u32 s_dev;
    unsigned long s_magic;
};

struct inode {
    __u16 i_mode;
    unsigned long i_ino;
    struct super_block *i_sb;
};

struct dentry {
    struct hlist_bl_node d_hash;
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
};

struct vfsmount {
    struct dentry *mnt_root;
};

/* fs/mount.h */
struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
};

struct file {
    struct inode *f_inode;
    struct path f_path;
    void *private_data;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
    unsigned long *open_fds;
};

struct files_struct {
    struct fdtable *fdt;
};

struct fs_struct {
    struct path pwd;
};

struct mm_struct {
    unsigned long arg_start, arg_end;
    struct file *exe_file;
};

struct ns_common {
    unsigned int inum;
};

struct mnt_namespace {
    struct ns_common ns;
};

struct net {
    struct ns_common ns;
};

struct user_namespace {
    struct ns_common ns;
};

struct pid_namespace {
    struct ns_common ns;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

struct nsproxy {
    struct mnt_namespace *mnt_ns;
    struct net *net_ns;
};

/* Eight bytes in either form: two words before Linux 6.3, one since. */
typedef struct {
    char bytes[1];
} kernel_cap_t;

struct cred {
    kuid_t uid, suid, euid, fsuid;
    kgid_t gid, sgid, egid, fsgid;
    kernel_cap_t cap_effective;
    struct user_namespace *user_ns;
};

struct kernfs_node {
    const char *name;
    struct kernfs_node *parent;
    __u64 id;
};

/* Since Linux 6.15. */
struct kernfs_node___rcu {
    struct kernfs_node *__parent;
};

struct cgroup_root {
    int hierarchy_id;
};

struct cgroup {
    struct kernfs_node *kn;
    struct cgroup_root *root;
};

struct cgroup_subsys_state {
    struct cgroup *cgroup;
};

enum cgroup_subsys_id {
    cpu_cgrp_id,
    memory_cgrp_id,
    devices_cgrp_id,
    pids_cgrp_id,
};

struct css_set {
    struct cgroup_subsys_state *subsys[1];
    struct cgroup *dfl_cgrp;
};

typedef struct {
    int counter;
} atomic_t;

struct signal_struct {
    atomic_t live;
};

struct seccomp {
    int mode;
};

struct thread_info {
    __u32 status;
};

struct task_struct {
    struct thread_info thread_info;
    unsigned int flags;
    int pid, tgid;
    struct task_struct *real_parent, *group_leader;
    struct pid *thread_pid;
    __u64 start_time;
    __u64 self_exec_id;
    const struct cred *cred;
    struct nsproxy *nsproxy;
    struct fs_struct *fs;
    struct files_struct *files;
    struct mm_struct *mm;
    struct css_set *cgroups;
    struct signal_struct *signal;
    kuid_t loginuid;
    unsigned int sessionid;
    struct seccomp seccomp;
    char comm[16];
    unsigned in_execve : 1;
};

typedef struct {
    struct net *net;
} possible_net_t;

struct in6_addr {
    __u8 s6_addr[16];
};

struct sock_common {
    unsigned short skc_family;
    __u16 skc_dport;
    __u32 skc_daddr;
    struct in6_addr skc_v6_daddr;
    possible_net_t skc_net;
};

struct socket;

struct sock {
    struct sock_common __sk_common;
    struct socket *sk_socket;
    struct pid *sk_peer_pid;
    __u16 sk_type;
};

struct socket {
    struct sock *sk;
};

struct socket_alloc {
    struct socket socket;
    struct inode vfs_inode;
};

struct sockaddr_un {
    unsigned short sun_family;
};

struct unix_address {
    int len;
    struct sockaddr_un name[1];
};

struct unix_sock {
    struct sock sk;
    struct unix_address *addr;
    struct path path;
    struct sock *peer;
};

/* Since Linux 6.10, until the connection is accepted. */
struct unix_sock___listener {
    struct sock *listener;
};

/* io_uring/, include/linux/io_uring_types.h */
struct io_cqe {
    __s32 res;
};

struct io_cmd_data {
    char data[1];
};

struct io_kiocb {
    struct file *file;
    struct io_cmd_data cmd;
    __u8 opcode;
    __u64 flags;
    struct io_cqe cqe;
};

struct io_connect {
    void *addr;
    int addr_len;
};

/* io_uring/rw.c, io_uring/net.c */
struct io_rw {
    __u64 addr;
};

struct io_sr_msg {
    void *buf;
};

struct filename {
    const char *name;
};

struct open_how {
    __u64 flags;
};

struct io_open {
    struct filename *filename;
    struct open_how how;
};

/* Of a raw tracepoint: its arguments as they are. */
struct bpf_raw_tracepoint_args {
    __u64 args[0];
};

#pragma clang attribute pop
