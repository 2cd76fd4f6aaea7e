"""A runtime socket as it is on this host at one moment."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from sockwarden.sockets.catalogue import RuntimeSocket

FoundBy = Literal["catalogue", "listener", "unit"]


class Listener(msgspec.Struct, frozen=True):
    """A process that holds the listening socket; its executable, empty where it cannot be read."""

    pid: int
    executable: str


class LiveSocket(msgspec.Struct, frozen=True):
    """A runtime socket that was found.

    socket      what it is, at the address that its listener was bound to
    kind        path, abstract or inet
    found_by    catalogue: its name is known; listener: a runtime daemon listens there; unit: systemd will start one
    listening   None where that cannot be told
    path        where the socket file is now, in our view: what an audit rule takes; None for other kinds, and for a
                file that is out of sight
    device, inode  of the socket file; the device in the kernel's encoding as audit prints it ("00:18")
    generation  tells two sockets on one inode apart: the listener's own inode, else the file's ctime in nanoseconds
    changed     the file's ctime in seconds since the epoch
    mode, uid, gid  of the file
    owner       uid of who made the listening socket, or has the file where nobody listens
    listeners   the daemon and what inherited the socket from it, without a systemd that only activates it
    unit        the systemd unit that listens for the daemon
    """

    socket: RuntimeSocket
    kind: Literal["path", "abstract", "inet"]
    found_by: FoundBy
    listening: bool | None = None
    path: str | None = None
    device: str = ""
    inode: int = 0
    generation: int = 0
    changed: float = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    owner: int = 0
    listeners: tuple[Listener, ...] = ()
    unit: str = ""


def text_of(name: str | bytes) -> str:
    """A name of the file system or of a socket as documents have it: UTF-8, other bytes as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
