"""What passes over connections to runtime sockets: the programs' ring, and what is wanted of each connection, both as
memory that this process maps. Of use without privileges and without libbpf: by descriptors that were inherited.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

KIND = 8
"""enum kind: KIND_STREAM."""
HEAD = struct.Struct("=IIQQQQQIIIBB2x")
"""struct stream_record without its data."""
PART_SIZE = 16384
WANTED_PLACES = 4096
_WANTED_SIZE = 32
"""struct wanted: socket, two offsets, whole."""

_LENGTH = struct.Struct("=I")
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8
"""kernel/bpf/ringbuf.c: of a record its length with two flags, and where it lies."""


class Streams(NamedTuple):
    """Where the programs leave what passes: descriptors of the maps `streams` and `wanted`, and the ring's size."""

    ring: int
    ring_size: int
    wanted: int


class Part(NamedTuple):
    """Some bytes of one direction of a connection.

    time       ns of CLOCK_MONOTONIC
    socket     inode of the accepted socket: names the connection
    client     inode of the other end; 0 where it is not known
    offset     of the first byte in its direction
    file, device  what the listener is bound to, the device in the kernel's encoding
    connector, server  pids of the host
    direction  0 received by the daemon, 1 sent
    at_start   whether the connection was seen from its first byte
    data       empty: the other end sends no more
    """

    time: int
    socket: int
    client: int
    offset: int
    file: int
    device: int
    connector: int
    server: int
    direction: int
    at_start: bool
    data: bytes


def part_of(record: bytes) -> Part:
    """A record of the ring. Raises struct.error or ValueError where it is none."""
    kind, length, time, socket, client, offset, file, device, connector, server, direction, at_start = HEAD.unpack_from(
        record
    )
    data = record[HEAD.size : HEAD.size + length]
    if kind != KIND or direction > 1 or len(data) != length:
        raise ValueError("no record of a stream")
    return Part(time, socket, client, offset, file, device, connector, server, direction, bool(at_start), data)


class Ring:
    """A ring buffer of the kernel's (BPF_MAP_TYPE_RINGBUF), read by its one consumer.

    descriptor: of the map, which is readable when the ring holds something. size: its `max_entries`.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._consumer = mmap.mmap(descriptor, mmap.PAGESIZE)
        # The data is mapped twice, one behind the other, so that no record is in two parts.
        self._rest = mmap.mmap(
            descriptor, mmap.PAGESIZE + 2 * size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED, offset=mmap.PAGESIZE
        )
        self._consumed = memoryview(self._consumer).cast("Q")
        self._produced = memoryview(self._rest)[: mmap.PAGESIZE].cast("Q")
        self._data = memoryview(self._rest)[mmap.PAGESIZE :]
        self._mask = size - 1

    def take(self, most: int) -> Iterator[bytes]:
        """Takes out up to so many records, the oldest first."""
        at = self._consumed[0]
        for _ in range(most):
            if at >= self._produced[0]:
                return
            here = at & self._mask
            length = _LENGTH.unpack_from(self._data, here)[0]
            if length & _BUSY:
                return
            start, size = here + _HEADER, length & ~_DISCARDED
            record = bytes(self._data[start : start + size])
            at += (size + _HEADER + 7) & ~7
            self._consumed[0] = at
            if not length & _DISCARDED:
                yield record


class Wanted:
    """What is wanted of each connection, as the programs read it. descriptor: of the map."""

    def __init__(self, descriptor: int) -> None:
        self._memory = memoryview(mmap.mmap(descriptor, _WANTED_SIZE * WANTED_PLACES)).cast("Q")

    def set(self, socket: int, received: int, sent: int, *, whole: bool) -> None:
        """From which offsets on the bytes of a connection are to be told, and whether all that is sent is. Of two
        connections with one place the later has it: the other's bytes are told, whether wanted or not.
        """
        place, memory = (socket & (WANTED_PLACES - 1)) * 4, self._memory
        if memory[place] != socket:
            # The programs read at any time: never the wishes for one connection as those for another.
            memory[place] = 0
        memory[place + 1], memory[place + 2], memory[place + 3] = received, sent, whole
        memory[place] = socket
