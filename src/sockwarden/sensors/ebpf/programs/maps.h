/* Maps and settings that the programs share with user space, and what is counted. */
#pragma once

#include "kernel.h"

#include <bpf/bpf_helpers.h>

#include "record.h"

#define SECOND 1000000000ULL
/* Keeps a number in a register from its check to its use, or the verifier does not see that they are one. */
#define PIN(number) asm volatile("" : "+r"(number))

/* Set before loading. Records of one program and action that are told whole in a second; more are counted. */
const volatile __u32 rung = 4;
const volatile __u32 whole_per_second = 2500;

enum rung { RUNG_LSM = 1, RUNG_FENTRY, RUNG_KPROBE, RUNG_TRACEPOINT };

/* The connect that a thread is in, from the kernel's copy of its address to its end, on the tracepoint rung from its entry;
 * none that matters where it has no ABI. `socket`: what its descriptor was at its entry, on that rung alone; 0 where that
 * is not known.
 */
struct call {
    __u64 socket;
    __u32 length;
    __u8 abi;
    __u8 late;
    __u8 unused[2];
    __u8 address[128];
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 16 << 20);
} accesses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 16 << 20);
} processes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __type(key, struct identity);
    __type(value, __u32);
} watched SEC(".maps");

/* Sockets that user space has found to be no runtime's. One that is forgotten is told again. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct identity);
    __type(value, __u32);
} left_alone SEC(".maps");

/* Kept with the thread itself: to find it costs a tenth of a hash, and no crowd of others takes its place. */
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct call);
} calls SEC(".maps");

/* For a thread that there was no memory for, at its call's end, with preemption off: it is told all the same. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct call);
} spare SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct flood_key);
    __type(value, struct flood);
} floods SEC(".maps");

/* Processes that hold a connection to a watched socket, by what is known: whose exec is looked at. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, __u8);
} holders SEC(".maps");

/* Inodes of the clients' ends of connections to watched sockets, by the address of the end: it may be closed before its
 * connection is accepted.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, __u64);
} clients SEC(".maps");

/* Programs that others go on with: in place 0 the one that looks at what passes. User space puts it there. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} called SEC(".maps");

/* A file's name as given to an open. */
struct opening {
    __u32 flags;
    char name[256];
};

/* Where a name is put that is looked at once: what runs with preemption off has one for each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct opening);
} scratch SEC(".maps");

/* Names of files that io_uring was asked to open, by request. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64);
    __type(value, struct opening);
} openings SEC(".maps");

/* The socket file that a thread has just tried to open. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, struct reached);
} opened SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 which)
{
    __u64 *counter = bpf_map_lookup_elem(&counters, &which);
    if (counter)
        __sync_fetch_and_add(counter, 1);
}

/* The thread's call, to be written into; NULL where there is no memory for it. */
static __always_inline struct call *fresh_call(void)
{
    return bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* The call that the thread is in; NULL where none was noted. */
static __always_inline struct call *noted_call(void)
{
    struct call *call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), NULL, 0);
    return call && call->abi ? call : NULL;
}

static __always_inline bool has(void *map, __u32 kind, __u32 space, __u64 number)
{
    struct identity key = {.kind = kind, .space = space, .number = number};
    return bpf_map_lookup_elem(map, &key) != NULL;
}

/* Whether it is the first of its kind in a second, which begins with it. */
static __always_inline bool is_first(struct flood *flood, const struct flood_key *key, __u64 now)
{
    if (!flood) {
        struct flood first = {.second = now, .told = 1};
        bpf_map_update_elem(&floods, key, &first, BPF_NOEXIST);
        return true;
    }
    if (now - flood->second < SECOND)
        return false;
    flood->second = now;
    flood->told = 1;
    return true;
}

/* Whether a record may be told whole: so many of a program's may in a second, and always the first to a socket, which
 * hides behind no flood to another. Else it is counted. `key` is what it is counted by, and not kept. Inline: a map takes
 * no key that was handed to a function before Linux 6.3, and there is no stack left for a copy.
 */
static __always_inline bool may_tell(struct flood_key *key, __u32 most)
{
    __u64 now = bpf_ktime_get_ns();
    struct flood *flood = bpf_map_lookup_elem(&floods, key);
    if (is_first(flood, key, now))
        return true;
    /* What all that it makes counts in. */
    key->socket = 0;
    key->family = 0;
    key->failed = 0;
    struct flood *budget = bpf_map_lookup_elem(&floods, key);
    if (is_first(budget, key, now) || !budget || __sync_fetch_and_add(&budget->told, 1) < most)
        return true;
    if (flood)
        __sync_fetch_and_add(&flood->folded, 1);
    return false;
}
