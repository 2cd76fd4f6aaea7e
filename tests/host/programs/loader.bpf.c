// A small object for the tests of the loader: each kind of map, a ring buffer, a constant, a tracepoint and raw ones.
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct record {
    __u32 rung;
    __u8 kind;
    __u64 count;
    char name[16];
};

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

SEC("tp/syscalls/sys_enter_getsid")
int getsid__any(void *context)
{
    return emit(&others, 2);
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
