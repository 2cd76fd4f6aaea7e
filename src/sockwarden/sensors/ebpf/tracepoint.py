"""Tracepoints as perf events, to which programs are attached. libbpf could do it, where tracefs is mounted."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from sockwarden.sensors.ebpf import kernelfs

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_PERF_TYPE_TRACEPOINT = 2
_PERF_ATTR = struct.Struct("=IIQ48x")
"""struct perf_event_attr, PERF_ATTR_SIZE_VER0: type, size, config, and all else zero."""
_PERF_FLAG_FD_CLOEXEC = 8


def open_tracepoint(section: str) -> int:
    """A perf event of the tracepoint in a section's name, `tp/CATEGORY/NAME`: a descriptor. Raises OSError, with ENOENT
    where the kernel has no such tracepoint.
    """
    _, _, name = section.partition("/")
    number = int(kernelfs.read("tracefs", f"events/{name}/id"))
    packed = _PERF_ATTR.pack(_PERF_TYPE_TRACEPOINT, _PERF_ATTR.size, number)
    call = _PERF_EVENT_OPEN.get(platform.machine())
    if call is None:
        raise OSError(errno.ENOSYS, f"no system call numbers for {platform.machine()}")
    # On whichever CPU it is opened, a program sees the tracepoint on all.
    attributes = ctypes.create_string_buffer(packed, len(packed))
    return kernelfs.call(call, attributes, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC)
