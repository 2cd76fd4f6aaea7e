"""The assembler: records in, events out, whatever the order and interleaving, in bounded memory.

A log on disk carries no end-of-event mark, so an event ends with its PROCTITLE once every record that SYSCALL
announces is there, with a record type that stands alone, or 2 s after its first record came, by the records' clock.
Its own time says nothing of its end: that is when the call began, and a call may block for long before it is logged.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from sockwarden.auditrecords.call import call_of
from sockwarden.auditrecords.event import Event
from sockwarden.auditrecords.parse import LOG, moment_of, record_of
from sockwarden.auditrecords.record import Record
from sockwarden.auditrecords.types import stands_alone

EXPIRY = 2000
"""Milliseconds, by the newest record so far, after which an open event is closed: what auditd's own auparse waits."""
MOST_OPEN = 4096
"""Events open at once; above it the oldest is closed."""
MOST_OF_A_TYPE = 4096
"""Records of one type that an event may hold; more of them (one io_uring_enter can carry any number of requests) are
dropped, and the event is incomplete. Never dropped is what tells of a socket file.
"""
_SOCKET_MODE = b" mode=014"
MOST_BYTES = 64 << 20
"""Bytes of record text held in open events; above it the oldest is closed."""
REMEMBERED = 4096
"""Closed events remembered, so that a straggler or a copy makes no second event."""

_WHOLE = {
    f"type={name}".encode(): name
    for name in ("SYSCALL", "SOCKADDR", "CWD", "PATH", "PROCTITLE", "URINGOP", "SOCKETCALL")
}
_ORDER = re.compile("(?:URINGOP SYSCALL|SYSCALL(?: SOCKETCALL)?)(?: (?:SOCKADDR|CWD|PATH))* PROCTITLE")
_MOST_LINES = 64
"""Lines of the longest event that is taken as a whole."""
_LAST_KIND = b"type=PROCTITLE "
_ITEMS = re.compile(rb" items=(\d{1,4})(?: |$)")


class Counts(msgspec.Struct):
    """What went past.

    incomplete  events that lack records
    duplicates  copies of a record
    late        records that came after their event was closed
    """

    events: int = 0
    incomplete: int = 0
    duplicates: int = 0
    late: int = 0


Key = tuple[int, int, bytes, str]
"""Of an event: time, serial, node; and the type of a record that stands alone, which may share the rest with an event
that it must not close: auditd counts DAEMON_* apart, and LANDLOCK_ACCESS comes ahead of the call's own records."""


def key_of(record: Record) -> Key:
    """The event that a record belongs to."""
    return record.time, record.serial, record.node, record.type if stands_alone(record.type) else ""


class _Pending(msgspec.Struct):
    """An event that may not be over.

    since   the newest record's time when its first one came
    types   how many records of each type it has
    items   how many PATH records SYSCALL or URINGOP announce
    cut     records were dropped
    """

    since: int
    records: dict[Record, None] = {}
    types: dict[str, int] = {}
    items: int = 0
    cut: bool = False
    addressed: bool | None = None

    def needs_address(self) -> bool:
        """Whether the call is one whose address the kernel records. Asked when SYSCALL is there, told once."""
        if self.addressed is None:
            call = call_of(Event(b"", 0, 0, list(self.records)))
            self.addressed = call is not None and call.kind in ("connect", "bind")
        return self.addressed


class Assembler:
    """Groups records into events."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._open: OrderedDict[Key, _Pending] = OrderedDict()
        self._closed: OrderedDict[Key, None] = OrderedDict()
        self._newest = 0
        self._bytes = 0

    def push(self, record: Record) -> Iterator[Event]:
        """Takes a record; gives the events that are over now, oldest first."""
        key = key_of(record)
        self._newest = max(self._newest, record.time)
        if key in self._closed:
            self.counts.late += record.type != "EOE"
            return
        pending = self._open.setdefault(key, _Pending(self._newest))
        if record in pending.records:
            self.counts.duplicates += 1
            return
        same = pending.types.get(record.type, 0)
        if same >= MOST_OF_A_TYPE and _SOCKET_MODE not in record.body:
            pending.cut = True
            return
        pending.types[record.type] = same + 1
        if record.type in ("SYSCALL", "URINGOP") and (items := _ITEMS.search(record.body)):
            pending.items = max(pending.items, int(items[1]))
        pending.records[record] = None
        self._bytes += len(record.body) + len(record.enriched)
        if key[3] or _ended(pending):
            yield self._close(key)
        while self._open and self._overdue():
            yield self._close(next(iter(self._open)))

    def whole(self, lines: Sequence[bytes]) -> Event | None:
        """The event of a log's lines that are all of it, as they mostly come: SYSCALL, its address, directory and
        paths, and PROCTITLE last, nothing twice; before SYSCALL what was asked of an io_uring, or behind it what
        socketcall was given. None for any other, which are to be pushed; these could be, too, for the same.
        """
        header = LOG.match(lines[0])
        if not header or lines[-1][: len(_LAST_KIND)] != _LAST_KIND or len(lines) > _MOST_LINES:
            return None
        if len(set(lines)) != len(lines):
            return None
        stamp = lines[0][header.end(2) : header.end()]
        time, serial = moment_of(*header.groups()[2:])
        records: list[Record] = []
        for line in lines:
            kind, _, rest = line.partition(stamp)
            if (name := _WHOLE.get(kind)) is None:
                return None
            records.append(record_of(name, time, serial, rest))
        names = [record.type for record in records]
        calls = [record.body for record in records[:2] if record.type in ("SYSCALL", "URINGOP")]
        items = [int(found[1]) for body in calls if (found := _ITEMS.search(body))]
        if not items or not _is_order(tuple(names)):
            return None
        if names.count("PATH") < max(items) or not self.passed(time, serial):
            return None
        return Event(b"", time, serial, records)

    def passed(self, time: int, serial: int) -> bool:
        """Takes in that a whole event was there, which needs no more parse; False where one with this stamp was."""
        key = (time, serial, b"", "")
        if key in self._closed or key in self._open:
            return False
        self._newest = max(self._newest, time)
        self.counts.events += 1
        self._remember(key)
        return True

    def expire(self, now: int) -> Iterator[Event]:
        """Closes what has been open for too long by a clock in milliseconds: a live stream may fall silent."""
        self._newest = max(self._newest, now)
        while self._open and self._overdue():
            yield self._close(next(iter(self._open)))

    @property
    def is_open(self) -> bool:
        """Whether any event is not over."""
        return bool(self._open)

    def complete(self, record: Record) -> Iterator[Event]:
        """Takes a record if its event is open, and its time in any case; gives the events that are over now."""
        if key_of(record) in self._open:
            yield from self.push(record)
        else:
            yield from self.expire(record.time)

    def flush(self) -> Iterator[Event]:
        """Closes what is still open at the end of the input."""
        while self._open:
            yield self._close(next(iter(self._open)))

    def _overdue(self) -> bool:
        """Whether the event that has been open for longest must be closed."""
        oldest = next(iter(self._open.values()))
        return oldest.since <= self._newest - EXPIRY or len(self._open) > MOST_OPEN or self._bytes > MOST_BYTES

    def _close(self, key: Key) -> Event:
        pending = self._open.pop(key)
        self._bytes -= sum(len(record.body) + len(record.enriched) for record in pending.records)
        complete = not pending.cut and _whole(pending)
        self.counts.events += 1
        self.counts.incomplete += not complete
        self._remember(key)
        return Event(key[2], key[0], key[1], list(pending.records), complete)

    def _remember(self, key: Key) -> None:
        self._closed[key] = None
        if len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)


@lru_cache(maxsize=64)
def _is_order(names: tuple[str, ...]) -> bool:
    return bool(_ORDER.fullmatch(" ".join(names)))


def _ended(pending: _Pending) -> bool:
    """Whether the last record of an event is there, and all that come before it: records may be out of order."""
    types = pending.types
    if "EOE" in types:
        return _whole(pending)
    # The kernel prints PROCTITLE for a system call alone, CWD with any PATH, and the address of a connect or bind.
    if "PROCTITLE" not in types or "SYSCALL" not in types or ("PATH" in types and "CWD" not in types):
        return False
    return ("SOCKADDR" in types or not pending.needs_address()) and _whole(pending)


def _whole(pending: _Pending) -> bool:
    """Whether the records that SYSCALL or URINGOP announce are there. A companion without either is a remnant."""
    types = pending.types
    if "SYSCALL" not in types and "URINGOP" not in types:
        return not types.keys() & {"PATH", "CWD", "SOCKADDR", "EXECVE", "PROCTITLE"}
    return types.get("PATH", 0) >= pending.items
