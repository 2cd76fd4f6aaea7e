"""Processes that hold connections, and runtime sockets as discovery would have found them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sockwarden.sensors.sweep import Held, Sweep
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


def of(held: list[Held], pid: int | None) -> Held:
    (one,) = (each for each in held if each.pid == pid)
    return one


def until(sweep: Sweep, reached: LiveSocket, condition: Callable[[list[Held]], bool]) -> list[Held]:
    """Sweeps until a condition holds, for ten seconds at most."""
    end = time.monotonic() + 10
    while not condition(held := sweep.look([reached])):
        assert time.monotonic() < end, held
        time.sleep(0.05)
    return held


@contextmanager
def bound(name: bytes, kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.bind(name)
        one.listen()
        yield one
