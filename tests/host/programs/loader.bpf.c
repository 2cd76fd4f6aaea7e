// A small object for the tests of the loader: each kind of map, a ring buffer, a constant, a tracepoint and raw ones.
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct inner {
    __u16 pair[2];
    void *pointer;
};

union either {
    __u32 number;
    __u8 bytes[6];
};

typedef const __u16 short_t;

struct record {
    __u32 rung;
    __u8 kind;
    __u64 count;
    char name[16];
};

struct types {
    __u8 first;
    short_t second;
    struct inner inner[3];
    union either either;
    enum { ONE, TWO } choice;
    long long array[2][3];
    struct inner *pointer;
    struct {
        __u8 byte;
    } nameless;
    __u8 last;
} __attribute__((packed, aligned(4)));

struct bits {
    __u32 low : 3;
    __u32 high : 29;
};

// Types that only local variables use are not in the object's BTF.
struct record *a_record __attribute__((unused));
struct types *some_types __attribute__((unused));
struct bits *some_bits __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64[3]);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} others SEC(".maps");

// Both rings are in the object, whichever is used.
void *rings[] __attribute__((unused)) = {&events, &others};

volatile const __u32 rung = 0;
volatile const __u32 watched = 0;

static __always_inline int emit(void *ring, __u8 kind)
{
    __u32 zero = 0;
    __u64 *counts = bpf_map_lookup_elem(&counters, &zero);
    struct record *record;

    if (!counts || bpf_get_current_pid_tgid() >> 32 != watched)
        return 0;
    counts[0]++;
    counts[1] += 2;
    record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
    if (!record) {
        counts[2]++;
        return 0;
    }
    record->rung = rung;
    record->kind = kind;
    record->count = counts[0];
    bpf_get_current_comm(record->name, sizeof(record->name));
    bpf_ringbuf_submit(record, 0);
    return 0;
}

SEC("tp/syscalls/sys_enter_getpgid")
int getpgid__tracepoint(void *context)
{
    return emit(&events, 1);
}

#ifndef OTHERS
#define OTHERS others
#endif

SEC("tp/syscalls/sys_enter_getsid")
int getsid__any(void *context)
{
    return emit(&OTHERS, 2);
}

SEC("tp/no_such/tracepoint")
int absent__option(void *context)
{
    return emit(&events, 3);
}

#ifdef RUNGS
SEC("lsm/unix_stream_connect")
int connect__lsm(void *context)
{
    emit(&events, 1);
    return 0;
}

SEC("fentry/security_unix_stream_connect")
int connect__fentry(void *context)
{
    return emit(&events, 2);
}

SEC("kprobe/security_unix_stream_connect")
int connect__kprobe(void *context)
{
    return emit(&events, 3);
}
#endif

#ifdef REFUSED
// Reads through a scalar: the verifier refuses.
SEC("tp/syscalls/sys_enter_getsid")
int refused__option(void *context)
{
    return *(int *)bpf_ktime_get_ns();
}
#endif

char _license[] SEC("license") = "GPL";
