"""The connections to runtime sockets that exist now, in whichever network namespace their clients made them."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from sockwarden.enrich import procfs
from sockwarden.errors import InputError
from sockwarden.sensors.sweep import borrowed
from sockwarden.sockets import LiveSocket, diag, processes

_MOST_NAMESPACES = 256
"""Network namespaces that are entered in one sweep."""
Place = tuple[int, int]
"""Where a socket is held: a process, and the descriptor's number."""


class Connection(msgspec.Struct, frozen=True, gc=False):
    """A connection to a runtime socket.

    client    sockfs inode of the end that connected
    server    of the end that the daemon has; 0 while it has not accepted the connection
    listener  the runtime socket
    """

    client: int
    server: int
    listener: diag.UnixListener


class Look:
    """One look at the connections to some sockets.

    found    the connections
    held     the sockets that the daemons hold, by sockfs inode
    limits   what could not be looked at, a sentence each
    settled  sockets of the daemons that are of no other namespace than ours, from one look to the next: a socket stays
             in its namespace

    Raises InputError where the kernel lists no sockets at all.
    """

    def __init__(self, sockets: Collection[LiveSocket], settled: Collection[int] = ()) -> None:
        self.found: list[Connection] = []
        self.held: dict[int, Place] = {}
        self.limits: list[str] = []
        self.settled: set[int] = set()
        self._visited: dict[int, diag.UnixConnections] = {}
        self._waiting: dict[int, tuple[int, ...]] = {}
        self._seen: set[int] = set()
        self._wanted = {live.generation for live in sockets if live.listening and live.kind != "inet"}
        if not self._wanted:
            return
        daemons = {listener.pid for live in sockets for listener in live.listeners}
        self.held = {
            sockfs: (pid, number) for pid in sorted(daemons) for sockfs, number in processes.socket_descriptors(pid)
        }
        if any(map(_runs, daemons - {pid for pid, _ in self.held.values()})):
            self.limits.append("the descriptors of a daemon cannot be read")
        self.settled = self.held.keys() & set(settled)
        own = Path("/proc/self/ns/net").stat().st_ino
        self._visit(own, None)
        try:
            self._follow(own)
        except OSError as error:
            why = os.strerror(error.errno or errno.EPERM)
            self.limits.append(f"connections from network namespaces without any process are not looked for ({why})")
            self._visit_those_of_processes()
        self.found = list(self._joined())
        self.limits = list(dict.fromkeys(self.limits))

    def _visit(self, identity: int, namespace: Path | None) -> None:
        there = self._visited[identity] = diag.unix_connections(namespace)
        self._seen.update(one.sockfs for one in there.listeners)
        self._seen.update(one.sockfs for one in there.connections)
        for listener in self._wanted.intersection(one.sockfs for one in there.listeners):
            waiting = there.waiting.get(listener)
            waiting = diag.unix_waiting(listener, namespace) if waiting is None else waiting
            if waiting is None:
                self.limits.append("a socket has more connections waiting to be accepted than the kernel lists")
            self._waiting[listener] = waiting or ()

    def _follow(self, own: int) -> None:
        """Enters the namespaces of those sockets of the daemons that were not seen yet: an accepted connection is in
        the namespace of its client. Raises OSError where the kernel does not lend us sockets of others.
        """
        for sockfs, (pid, number) in self.held.items():
            if sockfs in self._seen or sockfs in self.settled:
                continue
            try:
                if not _is_unix(pid, number):
                    self.settled.add(sockfs)
                    continue
                with borrowed.namespace_of(pid, number, sockfs) as namespace:
                    identity = namespace.stat().st_ino
                    if identity == own:
                        self.settled.add(sockfs)
                    elif identity not in self._visited and not self._enter(identity, namespace):
                        return
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS):
                    raise

    def _enter(self, identity: int, namespace: Path) -> bool:
        """Looks at one more namespace; False where that is one too many."""
        if len(self._visited) > _MOST_NAMESPACES:
            self.limits.append(f"connections come from more than {_MOST_NAMESPACES} network namespaces")
            return False
        try:
            self._visit(identity, namespace)
        except InputError as error:
            self.limits.append(f"{error.what} in another network namespace ({error.why})")
        return True

    def _visit_those_of_processes(self) -> None:
        for pid in processes.pids():
            name = processes.namespace_of(pid, "net") or ""
            identity = int(name[5:-1]) if name.startswith("net:[") else 0
            if identity and identity not in self._visited and not self._enter(identity, Path(f"/proc/{pid}/ns/net")):
                return

    def _joined(self) -> Iterator[Connection]:
        by_file: dict[tuple[str, int], diag.UnixListener] = {}
        by_name: dict[tuple[int, int, bytes], diag.UnixListener] = {}
        for identity, there in self._visited.items():
            for listener in there.listeners:
                if listener.sockfs not in self._wanted:
                    continue
                if listener.inode:
                    by_file[listener.device, listener.inode] = listener
                else:
                    by_name[identity, listener.kind, listener.name] = listener
                for client in self._waiting[listener.sockfs]:
                    yield Connection(client, 0, listener)
        for identity, there in self._visited.items():
            for end in there.connections:
                if not end.peer or not end.name:
                    continue
                reached = (
                    by_file.get((end.device, end.inode)) if end.inode else by_name.get((identity, end.kind, end.name))
                )
                if reached:
                    yield Connection(end.peer, end.sockfs, reached)


def _runs(pid: int) -> bool:
    stat = procfs.stat(pid)
    return stat is not None and not stat.exiting


def _is_unix(pid: int, number: int) -> bool:
    """Whether a descriptor is of a unix socket: `UNIX`, since Linux 5.15 `UNIX-STREAM`. Raises OSError."""
    return os.getxattr(f"/proc/{pid}/fd/{number}", "system.sockprotoname").startswith(b"UNIX")
