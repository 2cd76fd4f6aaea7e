"""Processes as /proc shows them now: their executables, and who holds which socket. Any of them may end meanwhile."""

# ruff: noqa: PTH115, PTH208 # thousands of links a discovery: as plain strings they are read several times faster

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator

_UID = re.compile(rb"\nUid:\t[0-9]+\t([0-9]+)\t")
_MOST_BYTES = 4 << 20
"""Of one file of /proc or of a configuration."""
_MOST_HOLDERS = 8
"""Processes named for one socket: its daemon and a few that inherited it."""


def pids() -> list[int]:
    """The thread groups of our pid namespace."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def executable_of(pid: int) -> str | None:
    """What a process runs, with ` (deleted)` where the kernel says so. None for one that is gone, a kernel thread, or
    one that we may not look at.
    """
    return _link(f"/proc/{pid}/exe")


def directory_of(pid: int) -> str | None:
    """The working directory of a process; None where it cannot be read."""
    return _link(f"/proc/{pid}/cwd")


def argv_of(pid: int, most_bytes: int = _MOST_BYTES) -> list[str]:
    """The arguments of a process, cut behind so many bytes; empty where they cannot be read."""
    return read_file(f"/proc/{pid}/cmdline", most_bytes).decode("utf-8", "backslashreplace").split("\0")[:-1]


def uid_of(pid: int) -> int | None:
    """The effective uid of a process; None for one that is gone. Not the owner of /proc/PID: that is root where a
    process cannot be dumped, which anybody may ask for.
    """
    found = _UID.search(read_file(f"/proc/{pid}/status"))
    return int(found[1]) if found else None


def sockets_held(pid: int) -> Iterator[int]:
    """The sockfs inodes of the sockets that a process holds."""
    return (inode for inode, _ in socket_descriptors(pid))


def socket_descriptors(pid: int) -> Iterator[tuple[int, int]]:
    """The sockets that a process holds: sockfs inode, and the descriptor's number."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        target = _link(f"{folder}/{name}")
        if target and target.startswith("socket:["):
            yield int(target[8:-1]), int(name)


def holders_of(sockfs: Collection[int]) -> dict[int, list[int]]:
    """The processes that hold each of these sockets, the oldest pid first; at most a few of each."""
    wanted = set(sockfs)
    found: dict[int, list[int]] = {}
    for pid in pids() if wanted else ():
        for inode in wanted.intersection(sockets_held(pid)):
            if len(holders := found.setdefault(inode, [])) < _MOST_HOLDERS:
                holders.append(pid)
    return found


def namespace_of(pid: int | str, kind: str) -> str | None:
    """The kernel's name of a namespace (`net:[4026531840]`); None where it cannot be read."""
    return _link(f"/proc/{pid}/ns/{kind}")


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def read_file(path: str, most_bytes: int = _MOST_BYTES) -> bytes:
    """The beginning of a regular file, empty where there is none: whoever wrote it may have put a pipe there, or
    without end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        data = bytearray()
        while len(data) < most_bytes and (piece := os.read(descriptor, min(1 << 16, most_bytes - len(data)))):
            data += piece
        return bytes(data)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
