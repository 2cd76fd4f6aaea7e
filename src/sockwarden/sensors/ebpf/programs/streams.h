/* What passes over connections to watched sockets, as the daemon reads and writes it: whichever way its clients send
 * theirs. The bytes go into a ring of their own, so that no talk keeps an access from being told. net/socket.c,
 * fs/read_write.c, fs/splice.c.
 */
#pragma once

#include "identity.h"
#include "maps.h"
#include "record.h"

#define MSG_PEEK 2
/* Parts of what one call has passed, and pieces (iovec) that it was scattered over. */
#define MOST_PARTS 4
#define MOST_PIECES 8
/* Of the ring the half is for small parts alone: long bodies must not keep what is asked beside them from being told. */
#define STREAMS (8 << 20)
#define SMALL 2048
/* Bytes of an answer that are told after each read: its head, and what it names. */
#define ANSWER 8192

enum passing { PASSES_NOTHING, PASSES_BUFFER, PASSES_PIECES, PASSES_MESSAGE, PASSES_UNSEEN, PASSES_ACCEPTED };

struct iovec {
    __u64 base, length;
};

/* struct user_msghdr as user memory has it. */
struct message {
    __u64 name, name_length, pieces, count;
};

/* Of one connection, by the accepted socket's inode. offsets: bytes passed in each direction; answer: bytes of an answer
 * that may still be told; whole: all that is sent is, since nobody could read it in parts.
 */
struct conversation {
    __u64 offsets[2];
    __u64 client;
    __u64 file;
    __u32 device;
    __u32 connector;
    __u32 answer;
    __u8 whole;
    __u8 at_start;
    __u8 unused[2];
};

/* Processes that have accepted, or listen for, connections to watched sockets, by the lower part of their pid. A place
 * stays taken: whoever has it later, or has one with a server, is looked at more closely, and is no more than slower.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, __u8);
} servers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, struct conversation);
} conversations SEC(".maps");

/* What user space wants of a connection; a place is taken by whichever has its number last. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, WANTED_PLACES);
    __type(key, __u32);
    __type(value, struct wanted);
} wanted SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, STREAMS);
} streams SEC(".maps");

/* Where a part is put together: what runs with preemption off has one for each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct stream_record);
} part SEC(".maps");

static __always_inline enum passing passing_of(__u64 number, __u32 *direction)
{
    *direction = RECEIVED;
    switch (number & ~X32_BIT) {
    case 0:
    case 45:
        return PASSES_BUFFER;
    case 19:
        return PASSES_PIECES;
    case 47:
        return PASSES_MESSAGE;
    case 43:
    case 288:
        return PASSES_ACCEPTED;
    case 275:
        return PASSES_UNSEEN;
    }
    *direction = SENT;
    switch (number & ~X32_BIT) {
    case 1:
    case 44:
        return PASSES_BUFFER;
    case 20:
        return PASSES_PIECES;
    case 46:
        return PASSES_MESSAGE;
    case 40:
        return PASSES_UNSEEN;
    }
    return PASSES_NOTHING;
}

/* Where it is noted whether the current process is a server. */
static __always_inline __u8 *server_place(void)
{
    __u32 place = (bpf_get_current_pid_tgid() >> 32) & 16383;
    return bpf_map_lookup_elem(&servers, &place);
}

static __always_inline bool may_serve(void)
{
    __u8 *serves = server_place();
    return serves && *serves;
}

static __always_inline __u64 first_wanted(__u64 socket, __u32 direction, __u8 *whole)
{
    __u32 place = socket & (WANTED_PLACES - 1);
    struct wanted *told = bpf_map_lookup_elem(&wanted, &place);
    if (!told || told->socket != socket)
        return 0;
    *whole |= told->whole;
    return told->offsets[direction & 1];
}

static __always_inline void tell_part(const struct conversation *conversation, __u64 socket, __u32 direction,
                                      __u64 offset, __u64 memory, __u64 length)
{
    __u32 first = 0;
    struct stream_record *record = bpf_map_lookup_elem(&part, &first);

    PIN(length);
    if (!record || length > PART)
        return;
    record->kind = KIND_STREAM;
    record->length = length;
    record->time = bpf_ktime_get_ns();
    record->socket = socket;
    record->client = conversation->client;
    record->offset = offset;
    record->file = conversation->file;
    record->device = conversation->device;
    record->connector = conversation->connector;
    record->server = bpf_get_current_pid_tgid() >> 32;
    record->direction = direction;
    record->at_start = conversation->at_start;
    count(COUNT_STREAMED);
    if ((length > SMALL && bpf_ringbuf_query(&streams, BPF_RB_AVAIL_DATA) > STREAMS / 2) ||
        (length && bpf_probe_read_user(record->data, length, (void *)memory)) ||
        bpf_ringbuf_output(&streams, record, sizeof(*record) - PART + length, 0))
        count(COUNT_STREAMS_DROPPED);
}

/* Bytes of an answer that are told from here: its beginning, unless all is. */
static __always_inline __u64 told_of_answer(struct conversation *conversation, __u64 memory, __u64 length, __u8 whole)
{
    __u64 begins = 0;
    if (whole)
        return length;
    bpf_probe_read_user(&begins, 7, (void *)memory);
    if (begins == 0x2e312f50545448ULL) /* "HTTP/1." */
        conversation->answer = ANSWER;
    if (length > conversation->answer)
        length = conversation->answer;
    conversation->answer -= length;
    return length;
}

/* Whether a connection begins as HTTP/2 does (PRI) or ttrpc (the upper byte of a length): whoever speaks these compresses,
 * or numbers what he says, so that an answer can be read only after all before it.
 */
static __always_inline __u8 is_compressed(__u64 memory)
{
    char first[4] = {};
    bpf_probe_read_user(first, sizeof(first), (void *)memory);
    return !first[0] || (first[0] == 'P' && first[1] == 'R' && first[2] == 'I');
}

/* Counts bytes of one direction, and tells those that are wanted. memory: in the daemon, 0 where nobody can look at them. */
__noinline int pass(__u64 socket, __u32 direction, __u64 memory, __u64 length)
{
    struct conversation *conversation = bpf_map_lookup_elem(&conversations, &socket);
    if (!conversation)
        return 0;
    __u64 offset = conversation->offsets[direction & 1];
    __u8 whole = conversation->whole;
    __u64 from = first_wanted(socket, direction, &whole);

    conversation->offsets[direction & 1] = offset + length;
    from = from > offset ? from - offset : 0;
    if (!memory && length)
        return 0;
    if (direction == SENT) {
        length = told_of_answer(conversation, memory, length, whole);
    } else {
        conversation->answer = ANSWER;
        if (!offset && length)
            conversation->whole = is_compressed(memory);
        if (!length)
            tell_part(conversation, socket, direction, offset, memory, 0);
    }
    for (int i = 0; i < MOST_PARTS; i++) {
        if (from >= length)
            return 0;
        __u64 size = length - from;
        if (size > PART)
            size = PART;
        tell_part(conversation, socket, direction, offset + from, memory + from, size);
        from += size;
    }
    return 0;
}

/* A connection that is seen the first time: whether it is one to a watched socket. */
__noinline int begin_conversation(__u64 address, __u64 socket, __u32 at_start)
{
    struct sock *sk = (struct sock *)address;
    struct unix_sock *unix = (void *)sk;
    struct conversation fresh = {.at_start = at_start};
    struct reached reached = {};
    __u8 *serves = server_place();

    put_bound_file(&reached, sk);
    if (verdict_on(&reached, address) != VERDICT_WATCHED)
        return 0;
    struct sock *peer = BPF_CORE_READ(unix, peer);
    if (peer) {
        __u64 number = (__u64)peer;
        __u64 *known = bpf_map_lookup_elem(&clients, &number);
        fresh.client = inode_of_socket(peer);
        if (!fresh.client && known)
            fresh.client = *known;
    }
    struct pid *connector = BPF_CORE_READ(sk, sk_peer_pid);
    if (connector)
        fresh.connector = BPF_CORE_READ(connector, numbers[0].nr);
    fresh.file = reached.file;
    fresh.device = reached.device;
    bpf_map_update_elem(&conversations, &socket, &fresh, BPF_NOEXIST);
    if (serves)
        *serves = 1;
    return 1;
}

/* An accepted socket as its inode, once its connection is one that is looked at; else 0. */
__noinline __u64 looked_at_socket(__u64 address, __u32 at_start)
{
    struct sock *sk = (struct sock *)address;

    if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
        return 0;
    __u64 socket = inode_of_socket(sk);
    if (!socket || bpf_map_lookup_elem(&conversations, &socket))
        return socket;
    return begin_conversation(address, socket, at_start) ? socket : 0;
}

static __always_inline __u64 looked_at(__s32 descriptor, __u32 at_start)
{
    return looked_at_socket((__u64)sock_of(file_at(descriptor)), at_start);
}

/* Of a message its pieces. */
static __always_inline void read_message(__u64 memory, struct message *message)
{
    if (bpf_probe_read_user(message, sizeof(*message), (void *)memory))
        message->count = 0;
}

static __always_inline void pass_pieces(__u64 socket, __u32 direction, __u64 pieces, __u64 count, __u64 length)
{
    for (__u32 i = 0; i < MOST_PIECES; i++) {
        struct iovec piece = {};
        if (i >= count || !length)
            return;
        if (bpf_probe_read_user(&piece, sizeof(piece), (void *)(pieces + i * sizeof(piece))))
            break;
        if (piece.length > length)
            piece.length = length;
        if (piece.length)
            pass(socket, direction, piece.base, piece.length);
        length -= piece.length;
    }
    /* More pieces than are looked at: a gap. */
    if (length)
        pass(socket, direction, 0, length);
}

static __always_inline void on_passed(struct pt_regs *regs, long result)
{
    __u64 number = (__u32)regs->orig_ax;
    __u32 direction;
    enum passing passing = passing_of(number, &direction);

    if (!passing || result < 0)
        return;
    if (passing == PASSES_ACCEPTED) {
        if (abi_here(number) != ABI_I386)
            looked_at(result, true);
        return;
    }
    if (!may_serve() || abi_here(number) == ABI_I386)
        return;
    __u64 memory = regs->si, third = regs->dx;
    __u64 flags = number == 45 ? regs->r10 : number == 47 ? third : 0;
    if (flags & MSG_PEEK)
        return;
    __u64 socket = looked_at(regs->di, false);
    if (number == 275 && !socket) {
        direction = SENT;
        socket = looked_at(third, false);
    }
    if (!socket)
        return;
    if (passing == PASSES_BUFFER || !result) {
        pass(socket, direction, memory, result);
    } else if (passing == PASSES_UNSEEN) {
        pass(socket, direction, 0, result);
    } else {
        struct message message = {.pieces = memory, .count = third};
        if (passing == PASSES_MESSAGE)
            read_message(memory, &message);
        pass_pieces(socket, direction, message.pieces, message.count, result);
    }
}

/* include/uapi/linux/io_uring.h */
enum io_uring_op {
    IORING_OP_READV = 1,
    IORING_OP_WRITEV = 2,
    IORING_OP_SENDMSG = 9,
    IORING_OP_RECVMSG = 10,
    IORING_OP_ACCEPT = 13,
    IORING_OP_READ = 22,
    IORING_OP_WRITE = 23,
    IORING_OP_SEND = 26,
    IORING_OP_RECV = 27,
};

/* Where a request of io_uring has, or takes, what passes; 0 where that cannot be told. */
static __always_inline __u64 memory_of(struct io_kiocb *request, __u8 opcode)
{
    void *command = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
    if (opcode == IORING_OP_READ || opcode == IORING_OP_WRITE) {
        struct io_rw *rw = command;
        return bpf_core_type_exists(struct io_rw) ? BPF_CORE_READ(rw, addr) : 0;
    }
    struct io_sr_msg *message = command;
    if ((opcode == IORING_OP_SEND || opcode == IORING_OP_RECV) && bpf_core_type_exists(struct io_sr_msg))
        return (__u64)BPF_CORE_READ(message, buf);
    return 0;
}

/* A daemon's own request of io_uring has come to its end. What it read in pieces is a gap. */
static __always_inline void on_ring_passed(struct io_kiocb *request)
{
    if (!bpf_core_field_exists(request->cqe) || !bpf_core_field_exists(request->cmd))
        return;
    __u8 opcode = BPF_CORE_READ(request, opcode);
    long result = BPF_CORE_READ(request, cqe.res);
    if (result < 0)
        return;
    if (opcode == IORING_OP_ACCEPT) {
        looked_at(result, true);
        return;
    }
    bool receives = opcode == IORING_OP_READ || opcode == IORING_OP_READV || opcode == IORING_OP_RECV ||
                    opcode == IORING_OP_RECVMSG;
    bool sends = opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV || opcode == IORING_OP_SEND ||
                 opcode == IORING_OP_SENDMSG;
    if ((!receives && !sends) || !may_serve())
        return;
    __u64 socket = looked_at_socket((__u64)sock_of(BPF_CORE_READ(request, file)), false);
    if (socket)
        pass(socket, sends ? SENT : RECEIVED, memory_of(request, opcode), result);
}
