"""What happened to a process: a sensor tells it, the process cache lives on it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from sockwarden.enrich.procfs import Program, Surroundings

Kind = Literal["fork", "exec", "exit", "comm", "cgroup"]


class Moment(NamedTuple):
    """A process at a time: its pid, its start (exact; 0 where not known) and the time, ns of CLOCK_MONOTONIC."""

    pid: int
    start: int
    time: int


class ProcessEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a process, never of a thread.

    pid      the process (thread group) it is about; for a fork the new one
    time     ns of CLOCK_MONOTONIC, as the kernel stamps it
    parent   of a fork, the new process's parent: with CLONE_PARENT (as runc does) that is the caller's own parent; of
             an exec, where told, the parent then
    name     of a comm, the new name; of an exec, where told, the program's

    The process connector tells no more. The rest is what a program in the kernel takes at that moment, and then
    nothing is read:

    start    of the process, ns of CLOCK_MONOTONIC, exact; 0 where not told
    caller   of a fork, who called it: what the new process is at first is what that one was
    program  of an exec, what it set; an executable of None could not be walked
    file     of an exec, the executable's inode after its device in the kernel's encoding ("fe:01", the file system's
             and not stat's)
    around   of a fork and an exec, where the process lives; of a cgroup, the cgroup that it was moved to. The text may
             have the line of one hierarchy alone; None says nothing
    """

    kind: Kind
    pid: int
    time: int
    parent: int = 0
    name: str = ""
    start: int = 0
    caller: int = 0
    program: Program | None = None
    file: tuple[str, int] | None = None
    around: Surroundings | None = None
