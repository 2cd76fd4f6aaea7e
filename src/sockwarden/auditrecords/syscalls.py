"""System calls that matter here, by audit architecture.

Architectures are the kernel's AUDIT_ARCH_* (include/uapi/linux/audit.h): an ELF machine with bit 31 for 64-bit and
bit 30 for little-endian. Numbers from each arch's syscall table. A call that is not listed has no name here: the
records still carry its number.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["connect", "open", "bind", "unlink", "rename", "other", "unknown"]

LITTLE_ENDIAN = 0x40000000
X32 = 0x40000000
"""Bit in the number of an x32 call, which reports the architecture of x86_64."""


def _calls(**numbers: int) -> dict[int, str]:
    return {number: name for name, number in numbers.items()}


_EVERYWHERE = _calls(io_uring_enter=426, io_uring_register=427, openat2=437)
_LEGACY = _EVERYWHERE | _calls(open=5, creat=8, unlink=10, execve=11, rename=38, socketcall=102)
_X86_64 = (
    _EVERYWHERE
    | _calls(open=2, connect=42, bind=49, execve=59, rename=82, creat=85, unlink=87, openat=257, unlinkat=263)
    | _calls(renameat=264, open_by_handle_at=304, renameat2=316, execveat=322)
)
_I386 = (
    _LEGACY
    | _calls(openat=295, unlinkat=301, renameat=302, open_by_handle_at=342)
    | _calls(renameat2=353, execveat=358, bind=361, connect=362)
)
_ARM = (
    _LEGACY
    | _calls(bind=282, connect=283, openat=322, unlinkat=328, renameat=329)
    | _calls(open_by_handle_at=371, renameat2=382, execveat=387)
)
_POWERPC = (
    _LEGACY
    | _calls(openat=286, unlinkat=292, renameat=293, bind=327, connect=328)
    | _calls(open_by_handle_at=346, renameat2=357, execveat=362)
)
_S390 = (
    _LEGACY
    | _calls(openat=288, unlinkat=294, renameat=295, open_by_handle_at=336)
    | _calls(renameat2=347, execveat=354, bind=361, connect=362)
)
_GENERIC = (
    _EVERYWHERE
    | _calls(unlinkat=35, renameat=38, openat=56, bind=200, connect=203, execve=221)
    | _calls(open_by_handle_at=265, renameat2=276, execveat=281)
)


class Arch(msgspec.Struct, frozen=True):
    """An architecture's name as auditd prints it, and its calls."""

    name: str
    calls: dict[int, str]


ARCHES = {
    0xC000003E: Arch("x86_64", _X86_64),
    0x40000003: Arch("i386", _I386),
    0xC00000B7: Arch("aarch64", _GENERIC),
    0x40000028: Arch("arm", _ARM),
    0xC00000F3: Arch("riscv64", _GENERIC),
    0xC0000102: Arch("loongarch64", _GENERIC),
    0xC0000015: Arch("ppc64le", _POWERPC),
    0x80000015: Arch("ppc64", _POWERPC),
    0x00000014: Arch("ppc", _POWERPC),
    0x80000016: Arch("s390x", _S390),
    0x00000016: Arch("s390", _S390),
}

KINDS: dict[str, Kind] = {
    "connect": "connect",
    "bind": "bind",
    "open": "open",
    "openat": "open",
    "openat2": "open",
    "creat": "open",
    "open_by_handle_at": "open",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
}

URING_CARRIERS = frozenset({"io_uring_enter", "io_uring_register", "execve", "execveat"})
"""Calls within which the kernel carries out requests of an io_uring: as they are submitted or reaped, cancelled
(IORING_REGISTER_SYNC_CANCEL), or with the ring, before another program runs.
"""

SOCKETCALLS: dict[int, Kind] = {2: "bind", 3: "connect"}
"""socketcall's first argument (include/uapi/linux/net.h)."""

URING_OPS: dict[int, Kind] = {16: "connect", 18: "open", 28: "open", 35: "rename", 36: "unlink", 56: "bind"}
"""URINGOP's uring_op (enum io_uring_op, include/uapi/linux/io_uring.h)."""

FLAGS_ARGUMENT = {"open": b"a1", "openat": b"a2", "open_by_handle_at": b"a2"}
"""Which argument of SYSCALL carries the open flags; openat2's are in an OPENAT2 record, creat's are fixed."""
CREAT_FLAGS = 0o1101
"""O_CREAT|O_WRONLY|O_TRUNC."""


class Call(msgspec.Struct, frozen=True):
    """What an event's records say was called.

    kind     what it does to a socket; other: nothing that matters here; unknown: the records do not tell
    name     the call's name on its architecture, its number where it has none; empty when no SYSCALL record is there
    arch     the architecture's name, or the number as printed
    hook     by which way it came: the call's name, `x32 NAME` or `io_uring`
    """

    kind: Kind
    name: str
    arch: str
    hook: str
    little_endian: bool = True
