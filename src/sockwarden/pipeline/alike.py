"""Accesses that are alike are judged once: of the next one the alerts are written with its own numbers.

What a document and its alerts say of an event beyond its likeness stands at a few places, the gaps. An access is judged
in full where a detector that it concerns looks at one of these, or where what is known of its inode may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from sockwarden.alerts import Detector, Severity, uuid_of
from sockwarden.auditrecords import IDENTITY, Event, Likeness, Record, digest_of, iso, original_of, part_of
from sockwarden.detect import Engine
from sockwarden.document import Document, get, put
from sockwarden.sinks import Lines
from sockwarden.sockets import Lessons, Position

_MOST = 512
"""Likenesses kept, some 20 kB each where they make alerts."""
_GAP = b"\0"
"""Stands around a gap's name; JSON has none."""


def _gap(name: str) -> msgspec.Raw:
    return msgspec.Raw(_GAP + name.encode() + _GAP)


_OF_EVENT = {
    "@timestamp": _gap("time"),
    "event.sequence": _gap("sequence"),
    "event.original": _gap("original"),
    "auditd.sequence": _gap("sequence"),
    "process.pid": _gap("pid"),
    "process.parent.pid": _gap("ppid"),
}
"""Where a document of a call says which of many alike it was."""
_OF_ALERT = {
    "kibana.alert.uuid": _gap("uuid"),
    "kibana.alert.original_time": _gap("time"),
    "kibana.alert.original_event.sequence": _gap("sequence"),
    "kibana.alert.start": _gap("time"),
    "kibana.alert.last_detected": _gap("time"),
}
"""Where its alert does, beside its ancestor."""
_GAPS = {b"id", b"time", b"sequence", b"pid", b"ppid", b"original", b"uuid"}
_FIELDS = frozenset(_OF_EVENT) | {"_id"}


Learn = Callable[[Document, "Sequence[tuple[Detector, int, Document]]", tuple[int, int, int]], None]
"""Takes what came of an event, as Alike.learn."""


class _Alert(NamedTuple):
    """An alert with gaps. start: that of its line, in pieces of which every second one is a gap's name; None where the
    alert has no such form.
    """

    number: int
    rule_id: str
    severity: Severity
    start: list[bytes] | None


class Judgement(msgspec.Struct):
    """What came of an access.

    lasting             from when to before when it is that of all that are alike
    asked               detectors that had to be asked
    undecided, trusted  whether it counts as such
    parts, originals    what its digest takes in of the records behind the first, and the end of `event.original`
    """

    lasting: tuple[Position, Position]
    asked: int
    undecided: int
    trusted: int
    parts: list[bytes]
    originals: bytes
    alerts: list[_Alert]

    def holds(self, likeness: Likeness) -> bool:
        """Whether it is that of this event, too."""
        begin, end = self.lasting
        return begin <= (iso(likeness.time), likeness.serial) < end

    def written(self, likeness: Likeness) -> Iterator[tuple[int, str, Severity, bytes | None]]:
        """The alerts of an event that is alike: by which detector, uuid, severity, and the start of the line."""
        if not self.alerts:
            return
        system = Record("SYSCALL", likeness.time, likeness.serial, likeness.system)
        digest, first = digest_of(likeness.time, likeness.serial, [*self.parts, part_of(system)]), original_of(system)
        values = {
            b"id": b'"%s"' % digest.encode(),
            b"time": b'"%s"' % iso(likeness.time).encode(),
            b"sequence": b"%d" % likeness.serial,
            b"pid": likeness.pid,
            b"ppid": likeness.ppid,
            b"original": b"[%s,%s" % (msgspec.json.encode(first), self.originals),
        }
        for number, rule_id, severity, start in self.alerts:
            uuid = uuid_of({**IDENTITY, "_id": digest}, rule_id)
            values[b"uuid"] = b'"%s"' % uuid.encode()
            yield number, uuid, severity, None if start is None else _filled(start, values)


def _filled(start: list[bytes], values: dict[bytes, bytes]) -> bytes:
    filled = start.copy()
    filled[1::2] = [values[name] for name in start[1::2]]
    return b"".join(filled)


class Alike:
    """The judgements of one stream's accesses, by what makes them alike."""

    def __init__(self, engine: Engine, lines: Lines, lessons: Lessons) -> None:
        self._engine = engine
        self._lines = lines
        self._lessons = lessons
        self._known: dict[tuple[bytes, ...], Judgement | None] = {}

    def knows(self, likeness: Likeness) -> bool:
        """Whether there is one."""
        return self.get(likeness) is not None

    def get(self, likeness: Likeness) -> Judgement | None:
        """The judgement of an event that was alike, where it is this one's."""
        known = self._known.get(likeness.key)
        return known if known and known.holds(likeness) else None

    def is_worth(self, likeness: Likeness) -> bool:
        """Whether to learn what comes of an access: of the first that is alike it is not, most come alone."""
        if likeness.key in self._known:
            return True
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[likeness.key] = None
        return False

    def learn(
        self,
        likeness: Likeness,
        event: Event,
        document: Document,
        found: Sequence[tuple[Detector, int, Document]],
        counts: tuple[int, int, int],
    ) -> None:
        """Takes what came of an access.

        found   its alerts, each with its detector and that one's place; nobody may need them any more
        counts  detectors asked; whether it counts as undecided, and as trusted
        """
        lasting = self._lessons.lasting(document)
        if lasting is None or self._engine.depends_on(_FIELDS, document):
            return
        alerts = []
        for detector, number, alert in found:
            signal = alert["kibana"]["alert"]
            if signal["rule"] is not detector.rule:
                return
            severity = signal["severity"]
            start = self._lines.start(_with_gaps(alert))
            pieces = None if start is None else start.split(_GAP)
            if pieces and (len(pieces) == 1 or not _GAPS.issuperset(pieces[1::2])):
                return  # JSON in UTF-8 could not hold it
            alerts.append(_Alert(number, detector.rule_id, severity, pieces))
        parts, originals = list(map(part_of, event.records[1:])), list(map(original_of, event.records[1:]))
        self._known[likeness.key] = Judgement(lasting, *counts, parts, msgspec.json.encode(originals)[1:], alerts)


def _with_gaps(alert: Document) -> Document:
    for field, gap in (_OF_EVENT | _OF_ALERT).items():
        if get(alert, field) is not None:
            put(alert, field, gap)
    alert["kibana"]["alert"]["ancestors"][-1]["id"] = _gap("id")
    return alert
