/* What io_uring was asked to do (include/linux/io_uring_types.h, io_uring/net.c, io_uring/openclose.c). The thread that a
 * request ends in may be another than it was carried out in.
 */
#pragma once

#include "connect.h"
#include "opens.h"

/* include/linux/io_uring_types.h, REQ_F_CQE_SKIP: a success leaves no completion. */
#define NO_COMPLETION (1 << 6)
#define IORING_OP_CONNECT 16
#define IORING_OP_OPENAT 18
#define IORING_OP_OPENAT2 28

static __always_inline bool opens(__u8 opcode)
{
    return opcode == IORING_OP_OPENAT || opcode == IORING_OP_OPENAT2;
}

/* What a connect was asked for, as far as the address can be read. */
static __always_inline void read_connect(struct io_kiocb *request, struct call *call)
{
    if (!bpf_core_type_exists(struct io_connect) || !bpf_core_field_exists(request->cmd))
        return;
    struct io_connect *connect = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
    void *address = BPF_CORE_READ(connect, addr);
    __u64 length = (__u32)BPF_CORE_READ(connect, addr_len);
    PIN(length);
    if (length <= sizeof(call->address) && !bpf_probe_read_user(call->address, length, address))
        call->length = length;
}

/* Nothing is seen of a connect that leaves no completion but that it was asked for. */
static __always_inline void on_connect_submitted(struct io_kiocb *request)
{
    struct call call = {.abi = ABI_IO_URING, .late = 1};
    __u64 flags = 0;

    bpf_core_read(&flags, bpf_core_field_size(request->flags), &request->flags);
    if (rung != RUNG_TRACEPOINT || !(flags & NO_COMPLETION))
        return;
    read_connect(request, &call);
    if (call.length >= 2 && family_of(call.address) == AF_UNIX)
        on_refused(&call, -EINPROGRESS, ABI_IO_URING, HOOK_IO_URING_SUBMIT);
}

/* The name is let go of before the request ends, so it is kept from its start. */
static __always_inline void on_submitted(struct io_kiocb *request)
{
    __u32 first = 0;
    __u64 key = (__u64)request;
    struct opening *opening = bpf_map_lookup_elem(&scratch, &first);

    if (BPF_CORE_READ(request, opcode) == IORING_OP_CONNECT) {
        on_connect_submitted(request);
        return;
    }
    if (!opening || !bpf_core_field_exists(request->cmd) || !bpf_core_type_exists(struct io_open) ||
        !opens(BPF_CORE_READ(request, opcode)))
        return;
    struct io_open *open = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
    opening->flags = BPF_CORE_READ(open, how.flags);
    if (bpf_probe_read_kernel_str(opening->name, sizeof(opening->name), BPF_CORE_READ(open, filename, name)) < 0)
        return;
    bpf_map_update_elem(&openings, &key, opening, BPF_ANY);
}

static __always_inline void on_connect_completed(struct io_kiocb *request, long result)
{
    struct call call = {.abi = ABI_IO_URING, .late = 1};
    struct call *noted = noted_call();

    read_connect(request, &call);
    if (result < 0 && result != -EINPROGRESS)
        on_refused(&call, result, ABI_IO_URING, HOOK_IO_URING_COMPLETE);
    else if (rung == RUNG_TRACEPOINT)
        on_connected((__u64)sock_of(BPF_CORE_READ(request, file)), &call, ABI_IO_URING, HOOK_IO_URING_COMPLETE);
    if (noted && noted->abi == ABI_IO_URING)
        noted->abi = 0;
}

static __always_inline void on_completed(struct io_kiocb *request)
{
    __u64 key = (__u64)request;
    /* Before Linux 5.19 this argument was something else. */
    if (!bpf_core_field_exists(request->cqe))
        return;
    __u8 opcode = BPF_CORE_READ(request, opcode);
    long result = BPF_CORE_READ(request, cqe.res);
    if (opcode == IORING_OP_CONNECT) {
        on_connect_completed(request, result);
    } else if (opens(opcode)) {
        struct opening *opening = bpf_map_lookup_elem(&openings, &key);
        if (opening)
            on_open(opening, result, ABI_IO_URING, HOOK_IO_URING_COMPLETE);
        bpf_map_delete_elem(&openings, &key);
    }
}
