"""Accesses that are alike are judged once: of the next one the alerts are written with its own numbers.

What a document and its alerts say of an event beyond its likeness stands at a few places, the gaps. An access is judged
in full where a detector that it concerns looks at one of these, or where what is known of its inode may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import starmap
from typing import NamedTuple

import msgspec

from sockwarden.alerts import Detector, Severity, named, reason_of, uuid_of
from sockwarden.auditrecords import (
    IDENTITY,
    UNSET,
    Event,
    Likeness,
    decode,
    digest_of,
    iso,
    original_of,
    part_of,
    string_of,
    title_of,
    user_of,
)
from sockwarden.detect import Engine
from sockwarden.document import Document, get, put
from sockwarden.sinks import Lines
from sockwarden.sockets import Lessons, Position

_MOST = 512
"""Likenesses kept, some 20 kB each where they make alerts."""
_MOST_MET = 8192
"""Likenesses of which it is known that they came."""
_NAMES = (
    *("time", "sequence", "pid", "ppid", "user", "who", "tty", "session", "title", "directory"),
    *("original", "id", "uuid"),
)
_GAP = b"\0"
"""Stands around a gap's name; JSON has none."""
_IN_TEXT = "\0who\0"
"""A gap within a text, as which it is escaped."""
_ESCAPED = msgspec.json.encode("\0")[1:-1]


def _gap(name: str) -> msgspec.Raw:
    return msgspec.Raw(_GAP + name.encode() + _GAP)


_OF_EVENT = {
    "@timestamp": _gap("time"),
    "event.sequence": _gap("sequence"),
    "event.original": _gap("original"),
    "auditd.sequence": _gap("sequence"),
    "process.pid": _gap("pid"),
    "process.parent.pid": _gap("ppid"),
    "process.title": _gap("title"),
    "process.working_directory": _gap("directory"),
    "user": _gap("user"),
    "auditd.session": _gap("session"),
    "auditd.data.tty": _gap("tty"),
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
_GAPS = {name.encode(): place for place, name in enumerate(_NAMES)}
_FIELDS = frozenset(_OF_EVENT) | {"_id"}


Learn = Callable[[Document, "Sequence[tuple[Detector, int, Document]]", tuple[int, int, int]], None]
"""Takes what came of an event, as Alike.learn."""


class Template(NamedTuple):
    """An alert with gaps.

    number  by which detector
    pieces  the start of its line, with something to be replaced at every second place; None where it has no such form
    gaps    what belongs there, by its place in _NAMES
    """

    number: int
    rule_id: str
    severity: Severity
    pieces: list[bytes] | None = None
    gaps: Sequence[int] = ()

    def filled(self, values: Sequence[bytes], uuid: str) -> bytes | None:
        """The start of the line, with what `values` has for a repetition."""
        if self.pieces is None:
            return None
        every, filled = (*values, b'"%s"' % uuid.encode()), self.pieces.copy()
        filled[1::2] = [every[gap] for gap in self.gaps]
        return b"".join(filled)


class Judgement(msgspec.Struct):
    """What came of an access.

    number              of this one: the how many-th it is
    lasting             from when to before when it is that of all that are alike
    asked               detectors that had to be asked
    undecided, trusted  whether it counts as such
    parts, originals    what its digest takes in of its records, and what `event.original` has of them, in order; None
                        for those that are not alike
    templates           its alerts
    """

    number: int
    lasting: tuple[Position, Position]
    asked: int
    undecided: int
    trusted: int
    parts: list[bytes | None]
    originals: list[bytes | None]
    templates: list[Template]

    def holds(self, likeness: Likeness) -> bool:
        """Whether it is that of this event, too."""
        begin, end = self.lasting
        return begin <= (iso(likeness.time), likeness.serial) < end

    def values(self, likeness: Likeness) -> tuple[list[bytes], list[str]]:
        """Of an event that is alike what belongs into all gaps but the last, and the uuids of its alerts."""
        own = likeness.bodies
        digest = digest_of(likeness.time, likeness.serial, _in_gaps(self.parts, starmap(part_of, own)))
        originals = b",".join(_in_gaps(self.originals, starmap(_original, own)))
        mine = likeness.own
        values = [
            b'"%s"' % iso(likeness.time).encode(),
            b"%d" % likeness.serial,
            mine.pid,
            mine.ppid,
            *_user(mine.user, mine.enriched),
            msgspec.json.encode(decode(mine.tty)),
            msgspec.json.encode(decode(mine.session)),
            msgspec.json.encode(title_of(mine.title)),
            msgspec.json.encode(string_of(mine.directory)),
            b"[%s]" % originals,
            b'"%s"' % digest.encode(),
        ]
        document = {**IDENTITY, "_id": digest}
        return values, [uuid_of(document, template.rule_id) for template in self.templates]


class Learnt:
    """The alerts of judgements that other processes have learnt."""

    def __init__(self) -> None:
        self._of: dict[int, dict[int, list[Template]]] = {}

    def add(self, pid: int, learnt: Mapping[int, list[Template]]) -> Mapping[int, list[Template]]:
        """Takes what a process has learnt since it told it last; gives all that it may mean, by the judgements'
        numbers. What it has forgotten goes with the next call.
        """
        known = self._of.setdefault(pid, {})
        newest = max(known, default=0)
        for number in [number for number in known if number <= newest - _MOST]:
            del known[number]
        known.update(learnt)
        return known


class Alike:
    """The judgements of one stream's accesses, by what makes them alike."""

    def __init__(self, engine: Engine, lines: Lines, lessons: Lessons) -> None:
        self._engine = engine
        self._lines = lines
        self._lessons = lessons
        self._known: dict[tuple[bytes | None, ...], Judgement] = {}
        self._met: set[int] = set()
        """Hashes of likenesses that came once, or oftener: of two that share one, one is learnt too soon."""
        self._next = self._oldest = 0
        self.learnt: dict[int, list[Template]] = {}
        """The alerts of judgements by their numbers, new since it was emptied."""

    def get(self, likeness: Likeness) -> Judgement | None:
        """The judgement of an event that was alike, where it is this one's."""
        known = self._known.get(likeness.key)
        return known if known and known.holds(likeness) else None

    def is_worth(self, likeness: Likeness) -> bool:
        """Whether to learn what comes of an access: of the first that is alike it is not, most come alone."""
        met = hash(likeness.key)
        if met not in self._met:
            if len(self._met) >= _MOST_MET:
                self._met.clear()
            self._met.add(met)
            return False
        if len(self._known) >= _MOST or self._next - self._oldest >= _MOST:
            self._known.clear()
            self._oldest = self._next
        return True

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
        templates = []
        for detector, number, alert in found:
            signal = alert["kibana"]["alert"]
            if signal["rule"] is not detector.rule:
                return
            template = Template(number, detector.rule_id, signal["severity"])
            if start := self._lines.start(_with_gaps(alert, document, likeness)):
                pieces = start.replace(_ESCAPED, _GAP).split(_GAP)
                others = start.count(_ESCAPED) != (2 if named(document["user"]) else 0)
                if len(pieces) == 1 or others or not _GAPS.keys() >= set(pieces[1::2]):
                    return  # JSON in UTF-8 could not hold it, or has more of what stands around a gap
                template = template._replace(pieces=pieces, gaps=[_GAPS[name] for name in pieces[1::2]])
            templates.append(template)
        own = _own_places(event, likeness)
        if len(own) < len(likeness.bodies):
            return
        records = [None if place in own else (one.type, one.body) for place, one in enumerate(event.records)]
        parts = [one and part_of(*one) for one in records]
        originals = [one and _original(*one) for one in records]
        self._known[likeness.key] = Judgement(self._next, lasting, *counts, parts, originals, templates)
        self.learnt[self._next] = templates
        self._next += 1


def _original(kind: str, body: bytes) -> bytes:
    return msgspec.json.encode(original_of(kind, body))


def _own_places(event: Event, likeness: Likeness) -> set[int]:
    """Which records of an event are those that are not alike."""
    places: set[int] = set()
    left = list(likeness.bodies)
    for place, record in enumerate(event.records):
        if left and (record.type, record.body) == left[0]:
            places.add(place)
            del left[0]
    return places


def _in_gaps(pieces: list[bytes | None], own: Iterator[bytes]) -> list[bytes]:
    return [next(own) if piece is None else piece for piece in pieces]


def _user(numbers: bytes, enriched: bytes) -> tuple[bytes, bytes]:
    """A user as JSON, and as a reason names them, within a text. Logins are many, and users few."""
    login, _, others = numbers.removeprefix(b" auid=").partition(b" ")
    before, behind, name = _known_user(others, enriched, login != UNSET)
    return before + login + behind if login != UNSET else before, name


@lru_cache(maxsize=256)
def _known_user(numbers: bytes, enriched: bytes, by_login: bool) -> tuple[bytes, bytes, bytes]:
    """That of any login, as JSON before and behind its number."""
    user = user_of(b"auid=%s " % (b"0" if by_login else UNSET) + numbers, enriched)
    if by_login:
        user["audit"]["id"] = "\0"
    before, _, behind = msgspec.json.encode(user).partition(_ESCAPED)
    return before, behind, msgspec.json.encode(named(user))[1:-1]


def _with_gaps(alert: Document, document: Document, likeness: Likeness) -> Document:
    gaps = _OF_EVENT | _OF_ALERT
    if not likeness.own.directory:
        del gaps["process.working_directory"]
    for field, gap in gaps.items():
        if get(alert, field) is not None:
            put(alert, field, gap)
    signal = alert["kibana"]["alert"]
    signal["ancestors"][-1]["id"] = _gap("id")
    if named(document["user"]):
        anybody = {**document, "user": {"name": _IN_TEXT}}
        signal["reason"] = reason_of(anybody, signal["rule"]["name"], signal["severity"])
    return alert
