"""What happened to a process: the kernel's process connector tells it, the process cache lives on it."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["fork", "exec", "exit", "comm"]


class ProcessEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a process, never of a thread.

    pid     the process (thread group) it is about; for a fork the new one
    time    ns of CLOCK_MONOTONIC, as the kernel stamps it
    parent  of a fork, the new process's parent: with CLONE_PARENT (as runc does) that is the caller's own parent
    name    of a comm, the new name
    """

    kind: Kind
    pid: int
    time: int
    parent: int = 0
    name: str = ""
