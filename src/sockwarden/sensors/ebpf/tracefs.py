"""Tracepoints as perf events. Their numbers stand in tracefs; where that is mounted nowhere, a mount is made that has
no place in any folder and ends with its descriptor, so that the machine stays as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""System calls since Linux 5.2, with the same numbers on every architecture."""
_CLOEXEC, _CMD_CREATE, _READ_ONLY = 1, 6, 1
_PERF_TYPE_TRACEPOINT = 2
_PERF_ATTR = struct.Struct("=IIQ48x")
"""struct perf_event_attr, PERF_ATTR_SIZE_VER0: type, size, config, and all else zero."""
_PERF_FLAG_FD_CLOEXEC = 8

_libc = ctypes.CDLL(None, use_errno=True)


def open_tracepoint(section: str) -> int:
    """A perf event of the tracepoint in a section's name, `tp/CATEGORY/NAME`: a descriptor. Raises OSError, with ENOENT
    where the kernel has no such tracepoint.
    """
    _, _, name = section.partition("/")
    with _events() as events:
        number = _read(name, events)
    packed = _PERF_ATTR.pack(_PERF_TYPE_TRACEPOINT, _PERF_ATTR.size, number)
    attributes = ctypes.create_string_buffer(packed, len(packed))
    # On whichever CPU it is opened, a program sees the tracepoint on all.
    call = _PERF_EVENT_OPEN.get(platform.machine(), -1)
    return _call(call, attributes, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC)


@contextlib.contextmanager
def _events() -> Iterator[int]:
    """tracefs's folder of events, open."""
    for place in _PLACES:
        with contextlib.suppress(OSError):
            found = os.open(place / "events", os.O_RDONLY | os.O_DIRECTORY)
            break
    else:
        found = _detached()
    try:
        yield found
    finally:
        os.close(found)


def _read(name: str, events: int) -> int:
    opened = os.open(f"{name}/id", os.O_RDONLY, dir_fd=events)
    try:
        return int(os.read(opened, 32))
    finally:
        os.close(opened)


def _detached() -> int:
    context = _call(_FSOPEN, b"tracefs", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        mount = _call(_FSMOUNT, context, _CLOEXEC, _READ_ONLY)
    finally:
        os.close(context)
    try:
        return os.open("events", os.O_RDONLY | os.O_DIRECTORY, dir_fd=mount)
    finally:
        os.close(mount)


def _call(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    if number < 0:
        raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}")
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = _libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
