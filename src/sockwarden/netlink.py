"""Netlink's envelope: struct nlmsghdr and struct nlattr (include/uapi/linux/netlink.h), shared by all who speak it.

Which protocol travels inside (audit, sock_diag, the process connector) is their affair.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
"""nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq, nlmsg_pid."""
ATTRIBUTE = struct.Struct("=HH")
"""nla_len, nla_type."""

NLMSG_ERROR = 2
NLMSG_DONE = 3
REQUEST = 1
ACK = 4
DUMP = 0x300

_DROPS = -2
"""Place of the Drops column in /proc/net/netlink, whose last column is the inode."""


class Message(NamedTuple):
    """One message: its type, flags, sequence number and what it carries."""

    kind: int
    flags: int
    sequence: int
    payload: bytes


def message(kind: int, payload: bytes = b"", *, flags: int = REQUEST, sequence: int = 0) -> bytes:
    """A message, addressed to the kernel."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages of one datagram; a length that does not fit ends them."""
    at = 0
    while at + HEADER.size <= len(datagram):
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, at)
        if length < HEADER.size or at + length > len(datagram):
            return
        yield Message(kind, flags, sequence, datagram[at + HEADER.size : at + length])
        at += _aligned(length)


def attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a payload: type and value."""
    at = 0
    while at + ATTRIBUTE.size <= len(payload):
        length, kind = ATTRIBUTE.unpack_from(payload, at)
        if length < ATTRIBUTE.size or at + length > len(payload):
            return
        yield kind, payload[at + ATTRIBUTE.size : at + length]
        at += _aligned(length)


def error_of(payload: bytes) -> OSError | None:
    """What an NLMSG_ERROR message says; None where it acknowledges."""
    code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    return OSError(code, os.strerror(code)) if code else None


def drops_of(sock: socket.socket) -> int | None:
    """How many messages the kernel could not queue for this socket since it was opened: the Drops column of
    /proc/net/netlink. None where the kernel does not tell.
    """
    inode = str(os.fstat(sock.fileno()).st_ino)
    try:
        rows = Path("/proc/net/netlink").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (columns[_DROPS] for columns in map(str.split, rows) if columns[-1:] == [inode])
    return next((int(drops) for drops in found if drops.isdigit()), None)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
