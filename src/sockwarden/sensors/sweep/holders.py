"""Who holds given sockets now: by a descriptor, by a thread's own table of descriptors, or registered with an io_uring.

A descriptor that is on its way to somebody (SCM_RIGHTS, not received yet) is held by no process, and one that is
registered with a ring whose own descriptor is registered as well is not shown by the kernel.
"""

# ruff: noqa: PTH208 # thousands of links a sweep: as plain strings they are read several times faster

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Collection, Iterator

import msgspec

from sockwarden.enrich import procfs
from sockwarden.sockets import processes

_RING = "anon_inode:[io_uring]"
_REGISTERED = re.compile(rb"^ *[0-9]+: socket:\[([0-9]+)\]$", re.MULTILINE)
"""A line of a ring's fdinfo (io_uring/fdinfo.c)."""
_MOST_RING_BYTES = 1 << 20
_MOST_RINGS = 64
"""Rings of one process that are read."""
_MOST_LINKS = 1 << 17
"""Descriptors of threads' own tables that are read in one sweep."""
_MOST_LOOKS = 256
"""Times that a table whose descriptors move is looked at in one sweep."""
_LOOKING_NS = 50_000_000
"""Time that goes for all of these looks."""
_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272}.get(os.uname().machine)
_KCMP_FILES = 2
"""include/uapi/linux/kcmp.h"""

_libc = ctypes.CDLL(None, use_errno=True)


class Holding(msgspec.Struct, frozen=True, gc=False):
    """A process that holds a socket.

    sockfs      the socket's inode
    pid, start  the process; its start in ns since boot, no finer than 10 ms. None and 0 for one who was not found
    descriptor  its number for it; None where an io_uring of the process has the socket
    """

    sockfs: int
    pid: int | None
    start: int
    descriptor: int | None


class Unsure:
    """Processes of which not every descriptor was seen.

    unreadable  the kernel does not show them
    moving      one was elsewhere or closed by the time that it was looked at
    """

    def __init__(self) -> None:
        self.unreadable: set[int] = set()
        self.moving: set[int] = set()


def holders(wanted: Collection[int], unsure: Unsure) -> Iterator[Holding]:
    """Every process that holds one of these sockets, once for each, the lowest pid first. What could not be seen is
    added to `unsure`.
    """
    links = {f"socket:[{sockfs}]": sockfs for sockfs in wanted}
    for pid in processes.pids() if links else ():
        try:
            yield from _of(pid, f"/proc/{pid}/fd", links, unsure)
        except OSError:
            unsure.unreadable.add(pid)


def holders_looked_for(wanted: Collection[int], moving: Collection[int]) -> Iterator[Holding]:
    """Those that `holders` does not meet, once for each process and socket.

    A thread may have a table of descriptors of its own (unshare(2), CLONE_FILES), and one that outlives its process's
    first thread has. And a descriptor whose number changes all the time has moved on before it is looked at: what moves
    is looked at again and again, of processes' own tables those in `moving`.
    """
    links = {f"socket:[{sockfs}]": sockfs for sockfs in wanted}
    left, end = _MOST_LINKS, time.monotonic_ns() + _LOOKING_NS
    for pid in processes.pids() if links else ():
        met = _again(pid, f"/proc/{pid}/fd", links, end) if pid in moving else []
        for thread in _other_threads(pid):
            if left > 0 and not _share_files(pid, thread):
                folder = f"/proc/{pid}/task/{thread}/fd"
                left -= len(_names(folder))
                met += _again(pid, folder, links, end)
        yield from {one.sockfs: one for one in met}.values()


def _again(pid: int, path: str, links: dict[str, int], end: int) -> list[Holding]:
    """Looks at a table until a socket is found in it, or nothing in it moves; once where the time is over."""
    for _ in range(_MOST_LOOKS):
        unsure = Unsure()
        try:
            found = list(_of(pid, path, links, unsure))
        except OSError:
            return []
        if found or not unsure.moving or time.monotonic_ns() > end:
            return found
    return []


def _of(pid: int, path: str, links: dict[str, int], unsure: Unsure) -> Iterator[Holding]:
    """Raises OSError for a process whose descriptors cannot be read."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return
    try:
        found, rings, moved = _read(folder, links)
        if moved:
            unsure.moving.add(pid)
        for ring in rings[:_MOST_RINGS]:
            for sockfs in _registered(f"{path}info/{ring}"):
                if f"socket:[{sockfs}]" in links:
                    found.setdefault(sockfs, None)
        stat = procfs.stat(pid) if found else None
        if stat and _lives(folder):
            for sockfs, descriptor in found.items():
                yield Holding(sockfs, pid, stat.start, descriptor)
    finally:
        os.close(folder)


def _read(folder: int, links: dict[str, int]) -> tuple[dict[int, int | None], list[str], bool]:
    """The sockets that are looked for, with the first descriptor of each, the descriptors of rings, and whether one was
    gone.
    """
    found: dict[int, int | None] = {}
    rings = []
    moved = False
    for name in _names(folder):
        try:
            link = os.readlink(name, dir_fd=folder)
        except PermissionError:
            raise
        except OSError:
            moved = True
            continue
        if link in links:
            found.setdefault(links[link], int(name))
        elif link == _RING:
            rings.append(name)
    return found, rings, moved


def _names(folder: int | str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _lives(folder: int) -> bool:
    """Whether the process whose /proc/PID/fd we opened is still there, so that its pid was nobody else's yet."""
    try:
        os.stat("../stat", dir_fd=folder)
    except OSError:
        return False
    return True


def _registered(path: str) -> Iterator[int]:
    """The sockets that are registered with a ring, by its fdinfo."""
    return map(int, _REGISTERED.findall(processes.read_file(path, _MOST_RING_BYTES)))


def _other_threads(pid: int) -> list[int]:
    return [int(name) for name in _names(f"/proc/{pid}/task") if name != str(pid)]


def _share_files(pid: int, thread: int) -> bool:
    """Whether a thread has its process's table of descriptors; False where that cannot be told."""
    return _KCMP is not None and _libc.syscall(_KCMP, pid, thread, _KCMP_FILES, 0, 0) == 0
