"""Makes another process do system calls, as whoever traces it can. x86_64 alone."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

_GETREGS, _SETREGS, _ATTACH, _DETACH, _SINGLESTEP = 12, 13, 16, 17, 9
_REGISTERS = struct.Struct("=27Q")
"""struct user_regs_struct (sys/user.h), of which these are the places that are used."""
_RAX, _RDI, _ORIG_RAX, _RIP = 10, 14, 15, 16
_CLOSE = 3
_SYSCALL = b"\x0f\x05"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def close_descriptors(pid: int, descriptors: Iterable[int]) -> None:
    """Has a process of one thread close these, and leaves it as it was otherwise."""
    if platform.machine() != "x86_64":
        pytest.skip("it is written for x86_64")
    _trace(_ATTACH, pid)
    os.waitpid(pid, 0x40000000)
    before = _registers(pid)
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        here = before[_RIP]
        memory.seek(here)
        code = memory.read(2)
        memory.seek(here)
        memory.write(_SYSCALL)
        try:
            for descriptor in descriptors:
                asked = list(before)
                # -1: it is in no call that the kernel would restart.
                asked[_RAX], asked[_RDI], asked[_ORIG_RAX] = _CLOSE, descriptor, (1 << 64) - 1
                _set(pid, asked)
                _trace(_SINGLESTEP, pid)
                os.waitpid(pid, 0x40000000)
                assert _registers(pid)[_RAX] == 0, f"descriptor {descriptor} was not closed"
        finally:
            memory.seek(here)
            memory.write(code)
            _set(pid, before)
            _trace(_DETACH, pid)


def _registers(pid: int) -> list[int]:
    room = ctypes.create_string_buffer(_REGISTERS.size)
    _trace(_GETREGS, pid, room)
    return list(_REGISTERS.unpack(room.raw))


def _set(pid: int, registers: list[int]) -> None:
    _trace(_SETREGS, pid, ctypes.create_string_buffer(_REGISTERS.pack(*registers)))


def _trace(request: int, pid: int, data: ctypes.Array[ctypes.c_char] | None = None) -> None:
    if _libc.ptrace(request, pid, None, ctypes.addressof(data) if data else None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
