"""System calls that matter here, by audit architecture.

Architectures are the kernel's AUDIT_ARCH_* (include/uapi/linux/audit.h): an ELF machine with bit 31 for 64-bit and
bit 30 for little-endian. Numbers from each arch's syscall table. A call that is not listed has no name here: the
records still carry its number.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["connect", "open", "bind", "unlink", "rename", "other"]

LITTLE_ENDIAN = 0x40000000
X32 = 0x40000000
"""Bit in the number of an x32 call, which reports the architecture of x86_64."""

_X86_64 = {2: "open", 42: "connect", 49: "bind", 82: "rename", 85: "creat", 87: "unlink", 257: "openat"} | {
    263: "unlinkat", 264: "renameat", 304: "open_by_handle_at", 316: "renameat2", 426: "io_uring_enter", 437: "openat2"
}  # fmt: skip
_LEGACY = {5: "open", 8: "creat", 10: "unlink", 38: "rename", 102: "socketcall", 426: "io_uring_enter", 437: "openat2"}
_I386 = _LEGACY | {295: "openat", 301: "unlinkat", 302: "renameat", 342: "open_by_handle_at", 353: "renameat2"} | {
    361: "bind", 362: "connect"
}  # fmt: skip
_ARM = _LEGACY | {282: "bind", 283: "connect", 322: "openat", 328: "unlinkat", 329: "renameat"} | {
    371: "open_by_handle_at", 382: "renameat2"
}  # fmt: skip
_POWERPC = _LEGACY | {286: "openat", 292: "unlinkat", 293: "renameat", 327: "bind", 328: "connect"} | {
    346: "open_by_handle_at", 357: "renameat2"
}  # fmt: skip
_S390 = _LEGACY | {288: "openat", 294: "unlinkat", 295: "renameat", 336: "open_by_handle_at", 347: "renameat2"} | {
    361: "bind", 362: "connect"
}  # fmt: skip
_GENERIC = {35: "unlinkat", 38: "renameat", 56: "openat", 200: "bind", 203: "connect", 265: "open_by_handle_at"} | {
    276: "renameat2", 426: "io_uring_enter", 437: "openat2"
}  # fmt: skip


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

    kind     what it does to a socket
    name     the call's name on its architecture, its number where it has none; empty when no SYSCALL record is there
    arch     the architecture's name, or the number as printed
    hook     by which way it came: the call's name, `x32 NAME` or `io_uring`
    """

    kind: Kind
    name: str
    arch: str
    hook: str
    little_endian: bool = True
