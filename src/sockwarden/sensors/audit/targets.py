"""The rules of ours: what has to be recorded of each socket, and on which architectures.

A path rule is kept with the inode it watches (audit_filter_inodes looks under the inodes that a call touched), so that
a call which does not touch that inode costs nothing, execve as little as the rest; without a path every call would be
recorded.

Operations of io_uring need two places (kernel/auditsc.c, __audit_uring_exit). One that is carried out within a system
call of the caller is judged as that system call: io_uring_enter; io_uring_register, which can cancel what a deferred
request waits for; execve and execveat, which cancel all that a ring still has. One that a kernel worker carries out is
judged on the io_uring list, and there a rule with a path by the worker's system call, which is 0: without bit 0, which
reads as `nop`, such a rule never matches. A rule with a folder is judged by the operation.
"""

from __future__ import annotations

import os

from sockwarden.auditrecords.syscalls import ARCHES, URING_CARRIERS
from sockwarden.errors import InputError
from sockwarden.sensors.audit.rule import (
    ALWAYS,
    ARCH,
    DIR,
    EQUAL,
    EXIT,
    IO_URING,
    KEY,
    PATH,
    URING_OPS,
    Field,
    Rule,
    mask,
)

OUR_KEY = b"sockwarden-watch"

CALLS = frozenset({"connect", "socketcall", "open", "openat", "openat2", "creat"}) | URING_CARRIERS
"""What reaches a socket by its path. socketcall carries connect on 32-bit architectures."""

_X86, _ARM = (0xC000003E, 0x40000003), (0xC00000B7, 0x40000028)
_MACHINES = {
    **dict.fromkeys(("x86_64", "i386", "i486", "i586", "i686"), _X86),
    **dict.fromkeys(("aarch64", "armv7l", "armv8l"), _ARM),
    "riscv64": (0xC00000F3,),
    "loongarch64": (0xC0000102,),
    "ppc64le": (0xC0000015,),
    "ppc64": (0x80000015, 0x00000014),
    "s390x": (0x80000016, 0x00000016),
}
"""Architectures whose calls a kernel takes, by uname's machine, which for a 32-bit process names its own."""


def architectures() -> tuple[int, ...]:
    """AUDIT_ARCH_* of this machine's calls, its own first. InputError where its call numbers are not known."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise InputError(
            f"the system calls of {machine} are not known here",
            why="audit rules name system calls by number",
            todo=f"known are {', '.join(_MACHINES)}; on any other, permanent rules and `sockwarden hunt` are the way",
        )
    return _MACHINES[machine]


def rules_for(path: str, *, folder: bool = False, key: bytes = OUR_KEY) -> list[Rule]:
    """The rules that record each access to a socket, or with `folder` to anything below a folder.

    The one on the io_uring list comes last. ValueError for a path that no rule can have.
    """
    target = os.fsencode(path)
    if (
        not target.startswith(b"/")
        or target.endswith(b"/")
        or b"\0" in target
        or len(target) >= os.pathconf("/", "PC_PATH_MAX")
    ):
        raise ValueError("a rule needs an absolute path without a slash at its end, shorter than 4096 bytes")
    conditions = (Field(DIR if folder else PATH, EQUAL, target), Field(KEY, EQUAL, key))
    made = []
    for arch in architectures():
        numbers = [number for number, name in ARCHES[arch].calls.items() if name in CALLS]
        made.append(Rule(EXIT, ALWAYS, mask(numbers), (Field(ARCH, EQUAL, arch), *conditions)))
    return [*made, Rule(IO_URING, ALWAYS, mask(URING_OPS), conditions)]


def ours(rule: Rule) -> bool:
    """Whether a rule carries our key."""
    return OUR_KEY in rule.keys
