"""What is left to a process that reads hostile bytes: a user of its own, no capability and no way to one, no file to
write, and bounded memory.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from pathlib import Path

from sockwarden.sensors.capabilities import CHANGING_USER, drop

_USERS = tuple(range(61184, 65520))
"""Those that systemd gives to services without a user of their own (DynamicUser=): one is free."""
_DEATH_SIGNAL, _DUMPABLE = 1, 4
"""PR_SET_PDEATHSIG, PR_SET_DUMPABLE (include/uapi/linux/prctl.h)."""

MOST_MEMORY = 512 << 20
"""Bytes of address space, most of which is the program and the ring."""
_LIMITS = {
    resource.RLIMIT_AS: MOST_MEMORY,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NPROC: 4,
    resource.RLIMIT_MEMLOCK: 0,
}


def free_user() -> int:
    """A user id that nobody has. Raises OSError where each is taken."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                taken.add(process.stat().st_uid)
            except OSError:
                continue
    # Each process begins elsewhere: of two that look at once both would find the same.
    first = os.getpid() % len(_USERS)
    for user in _USERS[first:] + _USERS[:first]:
        if user not in taken:
            return user
    raise OSError("each of the user ids 61184 to 65519 is taken")


def confine(user: int) -> None:
    """Makes the current process, which has one thread and is root's, one of `user` and nothing more. Raises OSError."""
    drop(CHANGING_USER)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    drop(())
    os.chdir("/")
    os.umask(0o777)
    for what, most in _LIMITS.items():
        resource.setrlimit(what, (most, most))
    ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)
    die_with_parent()


def die_with_parent() -> None:
    """Has the kernel end this process when its parent ends. A change of user takes that back."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
