"""What a watch may do once everything is open: as little as goes on working, each capability with its reason.

Root without capabilities still owns its files: the store, the spools and the runtime folder need none. A process that
reads what others wrote (paths, arguments, requests) for months should have no more.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Sensor = Literal["audit", "ebpf"]


class Need(NamedTuple):
    """A capability, its number (include/uapi/linux/capability.h), the sensors that need it, and what for."""

    name: str
    number: int
    sensors: tuple[Sensor, ...]
    reason: str


NEEDS = (
    Need("CAP_DAC_READ_SEARCH", 2, ("audit", "ebpf"), "folders of rootless runtimes, descriptors of others in /proc"),
    Need("CAP_SYS_PTRACE", 19, ("audit", "ebpf"), "executable, root and namespaces of others' processes in /proc"),
    Need("CAP_SYS_ADMIN", 21, ("audit", "ebpf"), "entering a runtime's own network namespace to list its sockets"),
    Need(
        "CAP_NET_ADMIN",
        12,
        ("audit", "ebpf"),
        "asking a connection for its network namespace (SIOCGSKNS); audit's process connector and receive buffers",
    ),
    Need("CAP_AUDIT_CONTROL", 30, ("audit",), "audit rules follow the sockets, and are taken away at the end"),
    Need("CAP_AUDIT_READ", 37, ("audit",), "audit records, the subscription to them after trouble"),
    Need("CAP_BPF", 39, ("ebpf",), "maps, where kernel.unprivileged_bpf_disabled closes them too (before Linux 5.19)"),
)
"""What is kept. To the kernel CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON too: they are named so that it can be
taken away from a watch that need not see sockets in other network namespaces.
"""
CHANGING_USER = (
    Need("CAP_SETGID", 6, ("ebpf",), "a group of its own for the process that decodes requests"),
    Need("CAP_SETUID", 7, ("ebpf",), "a user of its own for it"),
)
AT_START = (
    Need("CAP_PERFMON", 38, ("ebpf",), "loading programs that look into the kernel, attaching them"),
    *CHANGING_USER,
)
"""What is dropped once programs are in place."""
OVERRIDE = Need("CAP_DAC_OVERRIDE", 1, ("audit", "ebpf"), "a state folder or an output that belongs to another user")
"""Kept only where that is so."""

_MAPS_ARE_OPEN = (5, 19)
_VERSION_3 = 0x20080522
_SET_NO_NEW_PRIVS, _BOUNDING_READ, _BOUNDING_DROP, _AMBIENT, _AMBIENT_CLEAR_ALL = 38, 23, 24, 47, 4
"""PR_* (include/uapi/linux/prctl.h)."""
_MOST = 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def kept(sensor: str, writes: Iterable[Path] = ()) -> tuple[Need, ...]:
    """What a watch with this sensor keeps. writes: folders and files that it goes on writing into."""
    needs = [need for need in NEEDS if sensor in need.sensors and (need.name != "CAP_BPF" or _maps_are_closed())]
    return (*needs, OVERRIDE) if any(map(_foreign, writes)) else tuple(needs)


def drop(needs: Collection[Need]) -> tuple[str, ...]:
    """Gives up every other capability for good, and the gaining of new ones; the names of those that are left.

    What this process does not have is no error. The kernel keeps capabilities by thread, and a new thread has its
    maker's: to be called before there is a second one. Raises RuntimeError where another thread has kept more.
    """
    wanted = sum(1 << need.number for need in needs)
    _prctl(_AMBIENT, _AMBIENT_CLEAR_ALL)
    for number in range(_MOST):
        if not wanted >> number & 1 and _prctl(_BOUNDING_READ, number) == 1:
            # Without CAP_SETPCAP it stays, and is of no use: with no_new_privs an exec gains nothing from it.
            _prctl(_BOUNDING_DROP, number)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    left = _permitted() & wanted
    _set(left)
    for thread in Path("/proc/self/task").iterdir():
        if more := _permitted_of(thread) & ~left:
            raise RuntimeError(f"thread {thread.name} was there before, and has kept capabilities {more:#x}")
    return tuple(need.name for need in needs if left >> need.number & 1)


def _maps_are_closed() -> bool:
    """Whether the kernel asks for CAP_BPF also where a map is only read or changed (kernel/bpf/syscall.c, bpf)."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if version and (int(version[1]), int(version[2])) >= _MAPS_ARE_OPEN:
        return False
    try:
        return Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text(encoding="ascii").strip() != "0"
    except OSError:
        return True


def _foreign(path: Path) -> bool:
    try:
        return path.stat().st_uid != os.geteuid()
    except OSError:
        return False


def _prctl(option: int, argument: int) -> int:
    """The answer; -1 where the kernel does not know the option or the capability, or does not allow it."""
    return int(_libc.prctl(option, argument, 0, 0, 0))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_Sets = ctypes.c_uint32 * 6
"""Two of struct __user_cap_data_struct, the lower 32 capabilities first: effective, permitted, inheritable."""


def _permitted() -> int:
    sets = _Sets()
    if _libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), sets):
        raise OSError(ctypes.get_errno(), "capget")
    return int(sets[1]) | int(sets[4]) << 32


def _set(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    if _libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), _Sets(low, low, 0, high, high, 0)):
        raise OSError(ctypes.get_errno(), "capset")


def _permitted_of(thread: Path) -> int:
    try:
        status = (thread / "status").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return 0
        raise
    found = re.search(r"^CapPrm:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(found[1], 16) if found else 0
