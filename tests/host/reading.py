"""A daemon that reads what it is sent in one of many ways, and answers at its end: `python reading.py PATH WAY`. Each
way gives what it read, empty at the end.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
_PIECES = 3
_SETUP, _ENTER, _GET_EVENTS = 425, 426, 1
_ENTRIES = 4


def _readv(connection: socket.socket) -> bytes:
    pieces = [bytearray(7) for _ in range(_PIECES)]
    count = os.readv(connection.fileno(), pieces)
    return b"".join(pieces)[:count]


def _recvmsg(connection: socket.socket) -> bytes:
    pieces = [bytearray(5), bytearray(4096)]
    count = connection.recvmsg_into(pieces)[0]
    return b"".join(pieces)[:count]


def _peek_first(connection: socket.socket) -> bytes:
    connection.recv(10, socket.MSG_PEEK)
    connection.recvmsg(10, 0, socket.MSG_PEEK)
    return connection.recv(4096)


class Ring:
    """An io_uring of its own, one request at a time (io_uring_setup(2))."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        params = ctypes.create_string_buffer(120)
        self._ring = self._libc.syscall(_SETUP, _ENTRIES, params)
        if self._ring < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        sq, cq = struct.unpack_from("=10I", params, 40), struct.unpack_from("=10I", params, 80)
        self._tail, self._array, self._cqes = sq[1], sq[6], cq[5]
        self._cq_head = cq[0]
        # One mapping for both rings (IORING_FEAT_SINGLE_MMAP).
        self._rings = mmap.mmap(self._ring, max(self._array + 4 * _ENTRIES, self._cqes + 16 * 2 * _ENTRIES))
        self._sqes = mmap.mmap(self._ring, 64 * _ENTRIES, offset=0x10000000)
        self._done = 0

    def do(self, opcode: int, descriptor: int, address: int, length: int) -> int:
        """Carries out one request; its result."""
        slot = self._done % _ENTRIES
        self._sqes[64 * slot : 64 * slot + 64] = struct.pack(
            "=BBHiQQI36x", opcode, 0, 0, descriptor, 0, address, length
        )
        struct.pack_into("=I", self._rings, self._array + 4 * slot, slot)
        struct.pack_into("=I", self._rings, self._tail, self._done + 1)
        self._libc.syscall(_ENTER, self._ring, 1, 1, _GET_EVENTS, None, 0)
        result = struct.unpack_from("=i", self._rings, self._cqes + 16 * (self._done % (2 * _ENTRIES)) + 8)[0]
        self._done += 1
        struct.pack_into("=I", self._rings, self._cq_head, self._done)
        return int(result)


def _by_ring(opcode: int) -> Callable[[socket.socket], bytes]:
    ring, memory = Ring(), ctypes.create_string_buffer(4096)

    def receive(connection: socket.socket) -> bytes:
        count = ring.do(opcode, connection.fileno(), ctypes.addressof(memory), len(memory))
        if count < 0:
            raise OSError(-count, os.strerror(-count))
        return memory.raw[:count]

    return receive


WAYS: dict[str, Callable[[], Callable[[socket.socket], bytes]]] = {
    "read": lambda: lambda connection: os.read(connection.fileno(), 4096),
    "readv": lambda: _readv,
    "recv": lambda: lambda connection: connection.recv(4096),
    "recvmsg": lambda: _recvmsg,
    "peek": lambda: _peek_first,
    "long": lambda: lambda connection: connection.recv(1 << 20),
    "io_uring_read": lambda: _by_ring(22),
    "io_uring_recv": lambda: _by_ring(27),
}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    path, way = sys.argv[1:]
    receive = WAYS[way]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        _say("listening")
        sys.stdin.readline()
        connection, _ = listener.accept()
        total = 0
        while data := receive(connection):
            total += len(data)
        connection.sendall(ANSWER)
        _say(str(total))
        sys.stdin.readline()


if __name__ == "__main__":
    main()
