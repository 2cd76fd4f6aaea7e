/* What the programs tell: records in two ring buffers, each of a fixed part and text behind it. `events.py` reads them; a
 * test holds the two together by the object's BTF.
 *
 * Text: `lengths` say how much of the region belongs to what, in the order of `enum text`; a command has a place of its
 * own. Paths and cgroups come as their components from the last to the first, each with its NUL: a path is walked from its
 * end.
 */
#pragma once

#include "kernel.h"

enum kind { KIND_ACCESS = 1, KIND_LISTEN, KIND_FORK, KIND_EXEC, KIND_EXIT, KIND_RENAME, KIND_CGROUP, KIND_STREAM };

enum action { ACTION_CONNECT = 1, ACTION_OPEN, ACTION_RECEIVE, ACTION_DUPLICATE, ACTION_INHERIT, ACTION_LISTEN };

enum abi { ABI_X86_64 = 1, ABI_I386, ABI_X32, ABI_IO_URING };

enum hook {
    HOOK_UNIX_STREAM_CONNECT = 1,
    HOOK_SOCKET_CONNECT,
    HOOK_FILE_OPEN,
    HOOK_FILE_RECEIVE,
    HOOK_SYS_EXIT,
    HOOK_IO_URING_COMPLETE,
    HOOK_PROCESS_EXEC,
    HOOK_IO_URING_SUBMIT,
    HOOK_INET_STATE,
};

enum verdict { VERDICT_WATCHED = 1, VERDICT_UNDECIDED, VERDICT_IGNORED };

enum text { TEXT_GIVEN, TEXT_BOUND, TEXT_EXECUTABLE, TEXT_DIRECTORY, TEXT_CGROUP, TEXT_COMMAND, TEXTS };

/* The executable's name, or its mount, is gone: `(deleted)` to people. */
#define FLAG_DELETED 1
/* A text did not fit, or could not be walked to its end. */
#define FLAG_CUT_EXECUTABLE 2
#define FLAG_CUT_DIRECTORY 4
#define FLAG_CUT_CGROUP 8
#define FLAG_CUT_COMMAND 16
/* The address as given was read after the call, not before or in it. */
#define FLAG_GIVEN_LATE 32

/* Who, at that moment. Times: ns of CLOCK_MONOTONIC. Ids: the host's. */
struct context {
    __u64 time;
    __u64 start;
    __u64 cgroup_id;
    __u64 capabilities;
    __u32 pid, tid, parent;
    __u32 uid, euid, suid, fsuid;
    __u32 gid, egid, sgid, fsgid;
    __u32 auid, session;
    __u32 mount_ns, pid_ns, user_ns, net_ns;
    __u32 hierarchy;
    __u8 abi, seccomp, hook, controller;
    char comm[16];
    /* Programs that it has run, by the kernel's count: pid, start and this name one of them. */
    __u32 execs;
};

/* Which socket: the listener's own inode where the kernel still has it, the file it is bound to, and the file system of
 * that in the kernel's encoding (include/linux/kdev_t.h).
 */
struct reached {
    __u64 listener;
    __u64 file;
    __u64 client;
    __u32 device;
    __u32 connector;
};

struct record {
    __u32 kind;
    __u32 flags;
    struct context who;
    struct reached reached;
    __u64 executable_inode;
    __u32 executable_device;
    __u32 action;
    __s32 result;
    __u32 verdict;
    __u32 family;
    /* O_*, of an open; all ones where they are not known. */
    __u32 open_flags;
    __u16 lengths[TEXTS];
};

#define REGION 1792
#define COMMAND 2048

struct region {
    char text[REGION];
};

/* Of an access, of a fork and of a move to another cgroup. */
struct text_record {
    struct record fixed;
    struct region region;
};

struct exec_record {
    struct record fixed;
    struct region region;
    char command[COMMAND];
};

/* Accesses that are counted together: of one program, of one kind, to one socket. `socket`: the file of a watched one, or
 * the listener where it has no file; 0 for all others.
 */
struct flood_key {
    __u64 start;
    __u64 socket;
    __u32 pid;
    __u32 execs;
    __u16 action;
    __u16 family;
    __u32 failed;
};

/* second: when the current one began; told: whole in it; folded: counted only, ever. */
struct flood {
    __u64 second;
    __u64 folded;
    __u32 told;
    __u32 unused;
};

/* Of a stream's bytes, as the daemon sees them. */
enum direction { RECEIVED, SENT };

#define PART 16384

/* Bytes that passed over a connection to a watched socket, from an offset of their direction. socket: the accepted
 * socket's inode, which names the connection; client: that of the other end, 0 where it is not known; file, device: what
 * the listener is bound to; connector, server: pids; at_start: the connection was seen from its first byte. Of length 0:
 * the other end sends no more.
 */
struct stream_record {
    __u32 kind;
    __u32 length;
    __u64 time;
    __u64 socket;
    __u64 client;
    __u64 offset;
    __u64 file;
    __u32 device;
    __u32 connector;
    __u32 server;
    __u8 direction;
    __u8 at_start;
    __u8 unused[2];
    char data[PART];
};

#define WANTED_PLACES 4096

/* What user space wants of a connection, which it writes into mapped memory: from which offset on in each direction, and
 * whether it wants all of what is sent.
 */
struct wanted {
    __u64 socket;
    __u64 offsets[2];
    __u64 whole;
};

enum identity_kind { BY_LISTENER = 1, BY_FILE, BY_NAME, BY_PORT, BY_LAST_PART };

/* What sockets are watched or left alone by. BY_LISTENER: the socket's inode; BY_FILE: inode and device; BY_NAME: FNV-1a of
 * the name as bound, `space` its network namespace where abstract; BY_PORT; BY_LAST_PART: FNV-1a of a path's last part.
 */
struct identity {
    __u32 kind;
    __u32 space;
    __u64 number;
};

enum counter {
    COUNT_ACCESSES,
    COUNT_TOLD,
    COUNT_FOLDED,
    COUNT_DROPPED,
    COUNT_PROCESSES,
    COUNT_PROCESSES_DROPPED,
    COUNT_LEFT_ALONE,
    COUNT_STREAMED,
    COUNT_STREAMS_DROPPED,
    COUNTERS,
};
