"""The sweep: who holds a connection to a runtime socket now.

It finds what no hook sees: descriptors that were passed on (SCM_RIGHTS), duplicated (pidfd_getfd) or inherited over
fork and exec, and connections older than the sensor. It is blind to what comes and goes between two sweeps.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from sockwarden.sensors.sweep import borrowed
from sockwarden.sensors.sweep.connections import Connection, Look
from sockwarden.sensors.sweep.holders import Holding, Unsure, holders, holders_looked_for
from sockwarden.sockets import LiveSocket

_MOST_OF_A_PROCESS = 64
"""Connections of one process to one socket that are told: more of the same tell nothing new."""
_MOST_HOLDERS = 64
"""Processes that are told of one connection."""
_MOST_HELD = 16384
"""All that is told and remembered at once."""

Key = tuple[int, int | None, int]
"""Of one that holds a connection: the client's sockfs inode, pid, start."""


class Held(msgspec.Struct, frozen=True, gc=False):
    """A connection to a runtime socket, and one process that holds it.

    client         sockfs inode of the end that connected, which is held
    pid            who holds it; None for nobody who could be found, though it lasts: its descriptor is on its way to
                   somebody, hidden in an io_uring, or moved on before each look
    start          of that process, in ns since boot, no finer than 10 ms; 0 where there is none
    descriptor     its number for the connection; None where an io_uring of the process has it
    listener       sockfs inode of the socket that was reached
    name           the bytes that this was bound to; a leading NUL marks an abstract name
    inode, device  of its file, 0 and empty where it has none; the device as audit prints it ("00:18")
    accepted       whether the daemon has accepted the connection
    connected_by   pid of who made it, as the kernel noted it then; that process may have ended since. None where it
                   was not told: the connection is not accepted yet, or came from outside of our pid namespace
    new            was not held so at the last sweep
    """

    client: int
    pid: int | None
    start: int
    descriptor: int | None
    listener: int
    name: bytes
    inode: int
    device: str
    accepted: bool
    connected_by: int | None
    new: bool


class Sweep:
    """Sweeps again and again; not from two threads at once.

    limits   what could not be looked at the last time, a sentence each, which stays the same while that lasts
    untold   how many that hold a connection were left out the last time, since there were too many
    """

    def __init__(self) -> None:
        self.limits: list[str] = []
        self.untold = 0
        self._settled: set[int] = set()
        self._told: set[Key] = set()
        self._connected_by: dict[int, int | None] = {}
        self._lost: set[int] = set()

    def look(self, sockets: Collection[LiveSocket]) -> list[Held]:
        """Who holds a connection to one of these sockets, ourselves excepted. Raises InputError where the kernel does
        not list its sockets.
        """
        look = Look(sockets, self._settled)
        self._settled, self.limits, self.untold = look.settled, look.limits, 0
        connections = {one.client: one for one in look.found}
        unsure = Unsure()
        found = list(holders(connections, unsure))
        # The first process may be closed even to root, and is nobody's client.
        unsure.unreadable.discard(1)
        if unsure.unreadable:
            self.limits.append("the descriptors of some processes cannot be read")
        missed = connections.keys() - {one.sockfs for one in found}
        # A connection that was just closed is missed as well: only one that was before is looked for further.
        if lasting := missed & self._lost:
            found += holders_looked_for(lasting, unsure.moving)
            lasting -= {one.sockfs for one in found}
            # That nobody holds it can be said only where everybody could be looked at.
            found += (Holding(client, None, 0, None) for client in lasting if not unsure.unreadable)
        self._lost = missed
        told = [one for one in self._bounded(found, connections) if one.pid != os.getpid()]
        self._ask_who_connected({one.sockfs for one in told}, connections, look)
        held = [self._held(one, connections[one.sockfs]) for one in told]
        self._told = {_key(one) for one in told}
        return held

    def _bounded(self, found: list[Holding], connections: dict[int, Connection]) -> Iterator[Holding]:
        """Those to be told. What was told before comes first: a crowd of others must not make it new again."""
        of_process: Counter[tuple[int | None, int, int]] = Counter()
        of_connection: Counter[int] = Counter()
        left = _MOST_HELD
        for one in sorted(found, key=lambda one: _key(one) not in self._told):
            process = (one.pid, one.start, connections[one.sockfs].listener.sockfs)
            of_process[process] += one.pid is not None
            of_connection[one.sockfs] += 1
            if of_process[process] > _MOST_OF_A_PROCESS or of_connection[one.sockfs] > _MOST_HOLDERS or not left:
                self.untold += 1
                continue
            left -= 1
            yield one

    def _ask_who_connected(self, clients: set[int], connections: dict[int, Connection], look: Look) -> None:
        """Once for each connection, as soon as it is accepted."""
        self._connected_by = {client: by for client, by in self._connected_by.items() if client in clients}
        for client in clients - self._connected_by.keys():
            server = connections[client].server
            if place := look.held.get(server):
                try:
                    self._connected_by[client] = borrowed.peer_of(*place, server)
                except OSError:
                    continue

    def _held(self, one: Holding, connection: Connection) -> Held:
        reached = connection.listener
        return Held(
            client=one.sockfs,
            pid=one.pid,
            start=one.start,
            descriptor=one.descriptor,
            listener=reached.sockfs,
            name=reached.name,
            inode=reached.inode,
            device=reached.device,
            accepted=bool(connection.server),
            connected_by=self._connected_by.get(one.sockfs),
            new=_key(one) not in self._told,
        )


def _key(one: Holding) -> Key:
    return one.sockfs, one.pid, one.start
