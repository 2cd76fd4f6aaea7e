"""Processes that hold connections, and runtime sockets as discovery would have found them."""

from __future__ import annotations

import os
import socket
import subprocess

from sockwarden.sockets import Listener, LiveSocket, RuntimeSocket


class Actor:
    """A process that said that it is ready, with some numbers."""

    def __init__(self, process: subprocess.Popen[bytes], said: list[int]) -> None:
        self.process, self.pid, self.said = process, process.pid, said

    def end(self) -> None:
        """Returns when it is gone. It is not reaped, so that its group is no other's when that is ended."""
        self.process.kill()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def found(sockfs: int, daemon: int, kind: str = "path") -> LiveSocket:
    """A socket as discovery would have found it, with its daemon."""
    at = RuntimeSocket("/run/docker.sock", "docker", "Docker Engine API")
    listeners = (Listener(daemon, "/usr/bin/dockerd"),)
    assert kind in ("path", "abstract")
    return LiveSocket(
        at, "abstract" if kind == "abstract" else "path", "catalogue", True, generation=sockfs, listeners=listeners
    )


def runtime(listener: socket.socket) -> LiveSocket:
    """The socket of the fixture."""
    return found(os.fstat(listener.fileno()).st_ino, os.getpid())


def address_of(listener: socket.socket) -> bytes:
    """As it was bound."""
    name = listener.getsockname()
    return name if isinstance(name, bytes) else os.fsencode(name)
