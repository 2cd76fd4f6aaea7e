"""A socket of another process, duplicated for a moment by pidfd_getfd(2), to ask the kernel what only its holder can.

Asked are its network namespace and who connected. Nothing is read from it or written to it. It takes Linux 5.6 and
CAP_SYS_PTRACE, and is refused where Yama allows nobody to attach (kernel.yama.ptrace_scope=3).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIDFD_GETFD = 438
"""The same number on every architecture but Alpha (include/uapi/asm-generic/unistd.h)."""
_SIOCGSKNS = 0x894C
"""include/uapi/linux/sockios.h"""
_PEER = struct.Struct("=iII")
"""struct ucred: pid, uid, gid."""

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def namespace_of(pid: int, descriptor: int, sockfs: int) -> Iterator[Path]:
    """A path that leads to the network namespace in which a process's socket was made, even if no process is in it.

    Raises OSError, as borrow does.
    """
    with _borrow(pid, descriptor, sockfs) as borrowed:
        namespace = fcntl.ioctl(borrowed, _SIOCGSKNS)
    try:
        yield Path(f"/proc/self/fd/{namespace}")
    finally:
        os.close(namespace)


def peer_of(pid: int, descriptor: int, sockfs: int) -> int | None:
    """The process that connected to an accepted socket, whoever holds the connection now: SO_PEERCRED. It may have
    ended since. None for one that is not of our pid namespace. Raises OSError, as borrow does.
    """
    with _borrow(pid, descriptor, sockfs) as borrowed, socket.socket(fileno=os.dup(borrowed)) as accepted:
        peer, *_ = _PEER.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return peer or None


@contextmanager
def _borrow(pid: int, descriptor: int, sockfs: int) -> Iterator[int]:
    """Our own descriptor of the socket with this inode, which a process has at that number; close-on-exec.

    Raises ProcessLookupError where that is another file by now, and OSError for what the kernel says.
    """
    process = os.pidfd_open(pid)
    try:
        borrowed = _libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
        if borrowed < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(process)
    try:
        if os.fstat(borrowed).st_ino != sockfs:
            raise ProcessLookupError("the descriptor is of another file by now")
        yield borrowed
    finally:
        os.close(borrowed)
