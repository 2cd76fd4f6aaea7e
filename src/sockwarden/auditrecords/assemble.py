"""The assembler: records in, events out, whatever the order and interleaving, in bounded memory.

A log on disk carries no end-of-event mark, so an event ends with its PROCTITLE once every record that SYSCALL
announces is there, with a record type that stands alone, or 2 s after its first record came, by the records' clock.
Its own time says nothing of its end: that is when the call began, and a call may block for long before it is logged.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from sockwarden.auditrecords.call import call_of
from sockwarden.auditrecords.event import Event
from sockwarden.auditrecords.record import Record
from sockwarden.auditrecords.types import stands_alone

EXPIRY = 2000
"""Milliseconds, by the newest record so far, after which an open event is closed: what auditd's own auparse waits."""
MOST_OPEN = 4096
"""Events open at once; above it the oldest is closed."""
MOST_RECORDS = 1024
"""Records an event may hold; a longer one (a huge EXECVE) is closed as incomplete."""
MOST_BYTES = 64 << 20
"""Bytes of record text held in open events; above it the oldest is closed."""
REMEMBERED = 4096
"""Closed events remembered, so that a straggler or a copy makes no second event."""

_ITEMS = re.compile(rb" items=(\d{1,4})(?: |$)")


class Counts(msgspec.Struct):
    """What went past: incomplete events, copies of a record, records that came after their event was closed."""

    events: int = 0
    incomplete: int = 0
    duplicates: int = 0
    late: int = 0


_Key = tuple[int, int, bytes, str]
"""Time, serial, node; and the type of a record that stands alone, which may share the rest with an event that it must
not close: auditd counts DAEMON_* apart, and LANDLOCK_ACCESS comes ahead of the call's own records."""


class Assembler:
    """Groups records into events."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._open: OrderedDict[_Key, tuple[int, list[Record]]] = OrderedDict()
        self._closed: OrderedDict[_Key, None] = OrderedDict()
        self._newest = 0
        self._bytes = 0

    def push(self, record: Record) -> Iterator[Event]:
        """Takes a record; gives the events that are over now, oldest first."""
        alone = stands_alone(record.type)
        key = (record.time, record.serial, record.node, record.type if alone else "")
        self._newest = max(self._newest, record.time)
        if key in self._closed:
            self.counts.late += record.type != "EOE"
            return
        _, records = self._open.setdefault(key, (self._newest, []))
        if record in records:
            self.counts.duplicates += 1
            return
        records.append(record)
        self._bytes += len(record.body) + len(record.enriched)
        if alone or len(records) >= MOST_RECORDS or _ended(records):
            yield self._close(key)
        while self._open and self._overdue():
            yield self._close(next(iter(self._open)))

    def flush(self) -> Iterator[Event]:
        """Closes what is still open at the end of the input."""
        while self._open:
            yield self._close(next(iter(self._open)))

    def _overdue(self) -> bool:
        """Whether the event that has been open for longest must be closed."""
        since, _ = next(iter(self._open.values()))
        return since <= self._newest - EXPIRY or len(self._open) > MOST_OPEN or self._bytes > MOST_BYTES

    def _close(self, key: _Key) -> Event:
        _, records = self._open.pop(key)
        self._bytes -= sum(len(record.body) + len(record.enriched) for record in records)
        complete = len(records) < MOST_RECORDS and _whole(records)
        self.counts.events += 1
        self.counts.incomplete += not complete
        self._closed[key] = None
        if len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)
        return Event(key[2], key[0], key[1], records, complete)


def _ended(records: list[Record]) -> bool:
    """Whether the last record of an event is there, and all that come before it: records may be out of order."""
    types = {record.type for record in records}
    if "EOE" not in types and "PROCTITLE" not in types:
        return False
    if "EOE" in types:
        return _whole(records)
    # The kernel prints PROCTITLE for a system call alone, CWD with any PATH, and the address of a connect or bind.
    call = call_of(Event(b"", 0, 0, records)) if "SYSCALL" in types else None
    addressed = call is None or call.kind not in ("connect", "bind") or "SOCKADDR" in types
    return call is not None and addressed and ("CWD" in types or "PATH" not in types) and _whole(records)


def _whole(records: list[Record]) -> bool:
    """Whether the records that SYSCALL or URINGOP announce are there. A companion without either is a remnant."""
    announced = [record for record in records if record.type in ("SYSCALL", "URINGOP")]
    if not announced:
        return all(record.type not in ("PATH", "CWD", "SOCKADDR", "EXECVE", "PROCTITLE") for record in records)
    items = [int(found[1]) for record in announced if (found := _ITEMS.search(record.body))]
    return sum(record.type == "PATH" for record in records) >= max(items, default=0)
