"""What a socket is known by, as keys of the programs' maps: struct identity of programs/record.h."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress

from sockwarden.sensors.ebpf.records import IDENTITY, Identity, Record
from sockwarden.sockets import LiveSocket

_START, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
_FAMILY = 2
"""Bytes of an address before its name."""


def hash_of(name: bytes) -> int:
    """64 bits of FNV-1a, as identity.h has it."""
    value = _START
    for byte in name:
        value = ((value ^ byte) * _PRIME) & _MASK
    return value


def device_of(text: str) -> int:
    """A device as audit prints it, "fe:01", as the kernel's number (include/linux/kdev_t.h)."""
    major, _, minor = text.partition(":")
    return int(major, 16) << 20 | int(minor, 16)


def of_live(live: LiveSocket, own_network: int) -> Iterator[bytes]:
    """The keys of a runtime socket. own_network: the network namespace of this process."""
    if live.listening and live.generation:
        yield IDENTITY.pack(Identity.BY_LISTENER, 0, live.generation)
    address = os.fsencode(live.socket.address)
    if live.kind == "inet":
        yield IDENTITY.pack(Identity.BY_PORT, 0, int(address.rpartition(b":")[2]))
    elif live.kind == "abstract":
        name = hash_of(b"\0" + address[1:])
        for space in {own_network, *(filter(None, (network_of(each.pid) for each in live.listeners)))}:
            yield IDENTITY.pack(Identity.BY_NAME, space, name)
        yield _last_part(address[1:])
    else:
        if live.inode:
            yield IDENTITY.pack(Identity.BY_FILE, device_of(live.device), live.inode)
        for spelling in _spellings(address):
            yield IDENTITY.pack(Identity.BY_NAME, 0, hash_of(spelling))
        yield _last_part(address)
        if live.path:
            yield _last_part(os.fsencode(live.path))


def of_pieces(pieces: Iterable[str]) -> Iterator[bytes]:
    """Keys of last parts of names that a runtime's socket may have, also where there is none now."""
    return (_last_part(os.fsencode(piece)) for piece in pieces)


def of_record(record: Record) -> list[bytes]:
    """The keys under which what a record reached may be known; the first that the programs would go by comes first."""
    reached = record.reached
    keys = []
    if reached.listener:
        keys.append(IDENTITY.pack(Identity.BY_LISTENER, 0, reached.listener))
    if reached.file:
        keys.append(IDENTITY.pack(Identity.BY_FILE, reached.device, reached.file))
    if len(record.bound) > _FAMILY:
        name = record.bound[_FAMILY:]
        abstract = name.startswith(b"\0")
        space = record.who.net_ns if abstract else 0
        keys.append(IDENTITY.pack(Identity.BY_NAME, space, hash_of(name if abstract else name.partition(b"\0")[0])))
    return keys


def network_of(pid: int | str) -> int:
    """The inode of a process's network namespace, 0 where it cannot be told."""
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino  # noqa: PTH116 - once for each listener, at each discovery
    return 0


def port_of(given: bytes) -> int:
    """The port of a struct sockaddr_in or sockaddr_in6."""
    return socket.ntohs(int.from_bytes(given[2:4], "little"))


def _spellings(address: bytes) -> tuple[bytes, ...]:
    """/run as a daemon may have written it."""
    return (address, b"/var" + address) if address.startswith(b"/run/") else (address,)


def _last_part(name: bytes) -> bytes:
    return IDENTITY.pack(Identity.BY_LAST_PART, 0, hash_of(name.rpartition(b"/")[2]))
