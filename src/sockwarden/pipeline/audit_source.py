"""The kernel's audit as a watch's source: its records, assembled and interpreted; processes from their connector."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_IWGRP

from sockwarden.auditrecords import Assembler, Event, Rejected, document_of, parse_datagram
from sockwarden.document import Document, get
from sockwarden.health import Trouble
from sockwarden.pipeline.source import Told
from sockwarden.recent import Recent
from sockwarden.sensors.audit import DEFAULT, AuditSensor
from sockwarden.sensors.audit.changes import BACKLOG
from sockwarden.sensors.limits import BlindSpot, Lost, Unwatched
from sockwarden.sensors.proc_connector import ProcConnector
from sockwarden.sockets.inventory import Inventory

_MOST_DATAGRAMS = 2048
"""Read at once before anything else is looked at: some 300 accesses."""
_PART = 64
"""Interpreted before the time is looked at."""
_MOST_TOLD = 16_384
"""Processes of which it is remembered that they connected."""


class Datagrams:
    """From the kernel's datagrams to documents.

    rejected      datagrams that are no audit record
    reconfigured  audit's configuration was changed since this was last set to False
    """

    def __init__(self) -> None:
        self.rejected = 0
        self.reconfigured = False
        self._assembler = Assembler()

    @property
    def incomplete(self) -> int:
        """Events with records missing."""
        return self._assembler.counts.incomplete

    def documents(self, datagrams: Iterable[bytes]) -> Iterator[Document]:
        """What these datagrams complete."""
        for datagram in datagrams:
            record = parse_datagram(datagram)
            if isinstance(record, Rejected):
                self.rejected += 1
                continue
            self.reconfigured |= record.type == "CONFIG_CHANGE"
            yield from _documents(self._assembler.push(record))

    def expire(self, now: int) -> Iterator[Document]:
        """Events that were never completed, by a clock in milliseconds since the epoch."""
        return _documents(self._assembler.expire(now))


class AuditSource:
    """A `LiveSource` by audit rules. runtime: folder of the lock, and of what is to be put back."""

    name = "audit"
    requests = None
    """Audit tells of calls, and not of what passes."""
    hook = ""
    wants_discovery = False
    """inotify tells the watch of new sockets; audit does not."""

    def __init__(self, runtime: Path = DEFAULT, *, unicast: bool = False, backlog: int = BACKLOG) -> None:
        self.processes = ProcConnector()
        self._sensor = AuditSensor(runtime, unicast=unicast, backlog=backlog)
        self._datagrams = Datagrams()
        self._waiting: deque[bytes] = deque()
        self._told: Recent[int] = Recent(_MOST_TOLD)

    def open(self, tell: Callable[[str], None]) -> None:
        """Takes the lock, subscribes, and switches audit on."""
        if leftover := self._sensor.open():
            of = f" (pid {leftover.pid})" if leftover.pid else ""
            tell(f"taken over: {len(leftover.rules)} audit rules that a killed watch{of} had left")

    def filenos(self) -> list[int]:
        """The socket on which records come."""
        return [self._sensor.fileno()]

    def follow(self, inventory: Inventory) -> list[Unwatched]:
        """Puts rules on the sockets that there are, and on those that may come."""
        return self._sensor.follow(inventory.paths(), inventory.folders())

    def receive(self) -> bool:
        """Reads records, unless some wait."""
        if not self._waiting:
            self._waiting.extend(self._sensor.receive(_MOST_DATAGRAMS))
        return bool(self._waiting)

    def take(self, end: float) -> Iterator[Told]:
        """The accesses that the records complete."""
        while self._waiting and time.monotonic() < end:
            part = [self._waiting.popleft() for _ in range(min(_PART, len(self._waiting)))]
            for document in self._datagrams.documents(part):
                self._remember(document)
                yield Told(document)

    def expire(self, now: int) -> Iterator[Told]:
        """Accesses whose last record never came."""
        return map(Told, self._datagrams.expire(now))

    def last(self, end: float) -> Iterator[Told]:  # noqa: ARG002 - what waits is in auditd's log too
        """None: the next start reads it from auditd's log."""
        return iter(())

    def discovered(self, began: float) -> None:
        """Records are judged when they come: the inventory has a past."""

    def has_told(self, client: int, pid: int) -> bool:  # noqa: ARG002 - a record has no inode of the client's end
        """Whether it told of a connect by this process."""
        return pid in self._told

    def _remember(self, document: Document) -> None:
        pid = get(document, "process.pid")
        if isinstance(pid, int):
            self._told.add(pid)

    @property
    def wants_check(self) -> bool:
        """Whether somebody changed audit's configuration."""
        return self._datagrams.reconfigured

    def check(self, now: float) -> list[Trouble]:
        """Looks at rules, status and losses."""
        self._datagrams.reconfigured = False
        return self._sensor.check(now)

    def losses(self) -> Lost:
        """By the kernel's counters, and by what was read."""
        counted = self._sensor.losses()
        places = {"audit-buffer": counted.dropped or 0, "audit-backlog": counted.kernel}
        return Lost(places, self._datagrams.incomplete, self._datagrams.rejected)

    def blind_spots(self, inventory: Inventory) -> list[BlindSpot]:
        """What audit cannot see of these sockets, and whom."""
        found = inventory.live()
        kinds = {live.kind for live in found}
        gids = {live.gid for live in found if live.mode & S_IWGRP}
        return self._sensor.blind_spots(gids, has_tcp="inet" in kinds, has_abstract="abstract" in kinds)

    def close(self) -> list[str]:
        """Takes the rules away and puts audit's status back."""
        return [f"{failed}\n`sockwarden setup audit remove` tries again." for failed in self._sensor.close()]


def _documents(events: Iterable[Event]) -> Iterator[Document]:
    return (document for event in events if (document := document_of(event)))
