"""Judgements: what came of accesses, for those that are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from sockwarden.alerts import Detector, Severity, uuid_of
from sockwarden.auditrecords import IDENTITY, Event, Likeness, digest_of, iso, original_of, part_of
from sockwarden.detect import Engine
from sockwarden.document import Document
from sockwarden.pipeline.alike.gaps import ESCAPED, FIELDS, GAP, GAPS, fillings, is_told, with_gaps
from sockwarden.pipeline.alike.kinds import TOLD_APART, Kinds
from sockwarden.sinks import Lines
from sockwarden.sockets import ALWAYS, Catalogue, Lessons, Position

_MOST = 512
"""Likenesses kept, some 20 kB each where they make alerts."""
_MOST_MET = 8192
"""Likenesses of which it is known that they came."""


Learn = Callable[[Document, "Sequence[tuple[Detector, int, Document]]", tuple[int, int, int]], None]
"""Takes what came of an event, as Alike.learn."""


class Template(NamedTuple):
    """An alert with gaps.

    number  by which detector
    pieces  the start of its line, with something to be replaced at every second place; None where it has no such form
    gaps    what belongs there, by its place among GAPS
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
    reached             whether what was reached is of a kind, and a gap
    lasting             from when to before when it is that of all that are alike
    asked               detectors that had to be asked
    undecided, trusted  whether it counts as such
    parts, originals    what its digest takes in of its records, and what `event.original` has of them, in order; None
                        for those that are not alike; empty where none is
    templates           its alerts
    """

    number: int
    reached: bool
    lasting: tuple[Position, Position]
    asked: int
    undecided: int
    trusted: int
    parts: list[bytes | None]
    originals: list[str | None]
    templates: list[Template]

    def holds(self, likeness: Likeness) -> bool:
        """Whether it is that of this event, too."""
        begin, end = self.lasting
        return self.reached or begin <= (iso(likeness.time), likeness.serial) < end

    def values(self, likeness: Likeness) -> tuple[list[bytes], list[str]]:
        """Of an event that is alike what belongs into all gaps but the last, and the uuids of its alerts."""
        own = likeness.parts
        originals = list(map(original_of, own))
        digest = digest_of(likeness.time, likeness.serial, _in_gaps(self.parts, own))
        values = [
            *fillings(likeness, reached=self.reached),
            b'"%s"' % iso(likeness.time).encode(),
            b"%d" % likeness.serial,
            msgspec.json.encode(_in_gaps(self.originals, originals)),
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

    def __init__(self, engine: Engine, lines: Lines, lessons: Lessons, catalogue: Catalogue | None) -> None:
        """catalogue: None where an address is taken as it was given."""
        self._engine = engine
        self._lines = lines
        self._lessons = lessons
        self._kinds = Kinds(engine, lessons, catalogue)
        self._known: dict[tuple[object, ...], Judgement] = {}
        self._met: set[int] = set()
        """Hashes of likenesses and of what several have in common: of two with one hash, one is learnt too soon."""
        self._next = self._oldest = 0
        self.learnt: dict[int, list[Template]] = {}
        """The alerts of judgements by their numbers, new since it was emptied."""

    def get(self, likeness: Likeness) -> Judgement | None:
        """The judgement of an event that was alike, where it is this one's."""
        if hash(likeness.key) not in self._met:
            return None  # of what kind it is need not be asked
        known = self._known.get(self._kinds.key(likeness)[0])
        return known if known and known.holds(likeness) else None

    def is_worth(self, likeness: Likeness) -> bool:
        """Whether to learn what comes of an access: of the first that is alike it is not, most come alone. So do most
        names that are no socket's, where nothing but these may differ.
        """
        if self._is_first(likeness.key):
            return False
        key, reached = self._kinds.key(likeness)
        if likeness.reach and not reached and self._is_first(key):
            return False
        if len(self._known) >= _MOST or self._next - self._oldest >= _MOST:
            self._known.clear()
            self._oldest = self._next
        return True

    def _is_first(self, key: tuple[object, ...]) -> bool:
        """Whether none came that has this in common."""
        met = hash(key)
        if met in self._met:
            return False
        if len(self._met) >= _MOST_MET:
            self._met.clear()
        self._met.add(met)
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

        found   its alerts, each with its detector and that one's place; of those whose rule is their detector's nobody
                may need more than their lines
        counts  detectors asked; whether it counts as undecided, and as trusted
        """
        key, reached = self._kinds.key(likeness)
        lasting = ALWAYS if reached else self._lessons.lasting(document)
        if lasting is None or self._engine.depends_on(FIELDS, TOLD_APART, document):
            return
        if not is_told(document, likeness, reached=reached):
            return
        if any(alert["kibana"]["alert"]["rule"] is not detector.rule for detector, _, alert in found):
            return  # they are sent whole, and must have no gaps
        templates = []
        for detector, number, alert in found:
            template = self._template(detector, number, *with_gaps(alert, document, likeness, reached=reached))
            if template is None:
                return
            templates.append(template)
        parts = _apart([part_of(one.type, one.body) for one in event.records], likeness.parts)
        if parts.count(None) < len(likeness.parts):
            return
        originals = [None if part is None else original_of(part) for part in parts]
        if not any(parts):
            parts, originals = [], []
        self._known[key] = Judgement(self._next, reached, lasting, *counts, parts, originals, templates)
        self.learnt[self._next] = templates
        self._next += 1

    def _template(self, detector: Detector, number: int, alert: Document, in_texts: int) -> Template | None:
        """An alert that has gaps, so many of them in texts; None where its line cannot tell them."""
        template = Template(number, detector.rule_id, alert["kibana"]["alert"]["severity"])
        start = self._lines.start(alert)
        if not start:
            return template
        pieces = start.replace(ESCAPED, GAP).split(GAP)
        # JSON in UTF-8 may not hold it, or have more of what stands around a gap.
        if len(pieces) == 1 or start.count(ESCAPED) != 2 * in_texts or not GAPS.keys() >= set(pieces[1::2]):
            return None
        return template._replace(pieces=pieces, gaps=[GAPS[name] for name in pieces[1::2]])


def _apart(parts: list[bytes], own: list[bytes]) -> list[bytes | None]:
    """The parts of an event without its own, in whose places stands None."""
    apart: list[bytes | None] = []
    left = own.copy()
    for part in parts:
        is_own = left[:1] == [part]
        apart.append(None if is_own else part)
        del left[: 1 if is_own else 0]
    return apart


_Piece = TypeVar("_Piece")


def _in_gaps(pieces: list[_Piece | None], own: list[_Piece]) -> list[_Piece]:
    """Its own among what is alike; without that, its own."""
    rest = iter(own)
    return [next(rest) if piece is None else piece for piece in pieces] if pieces else own
