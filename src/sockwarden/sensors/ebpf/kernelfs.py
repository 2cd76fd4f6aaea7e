"""tracefs and securityfs, read also where they are mounted nowhere.

A mount is then made that has no place in any folder and ends with its descriptor, so that the machine stays as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

PLACES = {
    "tracefs": (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing")),
    "securityfs": (Path("/sys/kernel/security"),),
}

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""System calls since Linux 5.2, with the same numbers on every architecture."""
_CLOEXEC, _CMD_CREATE, _READ_ONLY = 1, 6, 1

_libc = ctypes.CDLL(None, use_errno=True)


def read(kind: str, file: str) -> str:
    """What a file of such a file system says, a path from its root. Raises OSError."""
    with _root(kind, file.partition("/")[0]) as root:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    with os.fdopen(opened, encoding="ascii", errors="replace") as reading:
        return reading.read(4096).strip()


def call(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """A system call that neither Python nor the C library has a function for. Raises OSError."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = _libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


@contextlib.contextmanager
def _root(kind: str, landmark: str) -> Iterator[int]:
    """The root of a file system, open. landmark: what shows that it is mounted, and not only its empty folder there."""
    found = next((place for place in PLACES[kind] if (place / landmark).exists()), None)
    root = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if found else _detached(kind)
    try:
        yield root
    finally:
        os.close(root)


def _detached(kind: str) -> int:
    context = call(_FSOPEN, kind.encode(), _CLOEXEC)
    try:
        call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return call(_FSMOUNT, context, _CLOEXEC, _READ_ONLY)
    finally:
        os.close(context)
