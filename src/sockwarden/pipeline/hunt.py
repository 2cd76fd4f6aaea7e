"""A hunt: recorded logs through identity, enrichment and detection to alerts.

Each stream is read twice: once to learn which inode is which socket and where accesses are, once to judge them. As many
processes as there are processors share a stream's stretches; what is told and remembered is told and remembered in one.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import msgspec

from sockwarden.alerts import Detector, Severity
from sockwarden.auditrecords import document_of, iso
from sockwarden.detect import Counts, Detection, Engine
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.literals import EVERYTHING
from sockwarden.pipeline.alike import Alike, Judgement, Learn, Learnt, Template
from sockwarden.pipeline.learning import Learning, Progress
from sockwarden.pipeline.processes import batched, in_order
from sockwarden.pipeline.replay import Learned, Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import Quarantine, Stream, Stretch, Tally, format_of
from sockwarden.sinks import Lines
from sockwarden.sockets import packaged


class Window(msgspec.Struct, frozen=True):
    """From when to when, inclusive: times as documents carry them (ISO 8601, UTC, milliseconds); empty is open."""

    since: str = ""
    until: str = ""

    def holds(self, document: Document) -> bool:
        """Whether a document lies in it. One without a time does: unknown must not hide it."""
        time = _utc(str(document.get("@timestamp", "")))
        return not time or self.holds_time(time)

    def holds_time(self, time: str) -> bool:
        """Whether a time in that form lies in it."""
        return (not self.since or time >= self.since) and (not self.until or time <= self.until)


def _utc(time: str) -> str:
    """A document's time in the form that ours have; empty for what is no time."""
    if len(time) == len("2026-01-01T00:00:00.000Z") and time.endswith("Z"):
        return time
    try:
        moment = datetime.fromisoformat(time)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    except (ValueError, OverflowError):
        return ""


class Started(msgspec.Struct, gc=False):
    """An alert whose line was started in the process that found it: the rule's part is still to follow.

    start  None where the alert has no such form
    """

    detector: Detector
    uuid: str
    severity: Severity
    start: bytes | None


class _Hit(msgspec.Struct, array_like=True, gc=False, tag=True):
    """An alert on its way between processes.

    number    by which detection
    alert     whole, without the rule where that is just its detector's; None where its line was started
    document  what it was made of, where the detector suppresses
    """

    number: int
    uuid: str = ""
    severity: Severity = "low"
    start: bytes | None = None
    alert: Document | None = None
    document: Document | None = None


class _Repeated(msgspec.Struct, array_like=True, gc=False, tag=True):
    """Alerts on their way of an access that is alike another: the judgement's number, and what it says of this one."""

    number: int
    values: list[bytes]
    uuids: list[str]


_unpack = msgspec.msgpack.Decoder(list[_Hit | _Repeated]).decode


class _Part(NamedTuple):
    """What a process found in a part of a stretch.

    hits    packed
    pid     the process
    learnt  what it has learnt since it told it last
    met     what was met in the whole stretch; with its last part only
    """

    hits: bytes
    pid: int
    learnt: dict[int, list[Template]]
    met: Met | None = None


class Met(msgspec.Struct):
    """What was met on the way, beside alerts.

    undecided accesses that name a runtime socket, while the log does not tell its directory, or not the call
    trusted   accesses to runtime sockets by programs at a runtime component's path, which proves nothing
    unread    parts that could not be read, or not to their end
    """

    tally: Tally
    counts: Counts = msgspec.field(default_factory=Counts)
    undecided: int = 0
    trusted: int = 0
    unread: dict[str, InputError] = {}

    def note(self, document: Document) -> None:
        """Takes in a document of the window."""
        reached = get(document, "sockwarden.socket.runtime") is not None
        unplaced = not reached and get(document, "sockwarden.socket.alias") == "unknown"
        self.undecided += unplaced or (reached and get(document, "event.action") == "unknown-call")
        verified = get(document, "sockwarden.actor.verified")
        self.trusted += reached and not verified and get(document, "sockwarden.actor.component") is not None

    def repeat(self, known: Judgement) -> None:
        """Takes in a document that is alike another."""
        self.counts.documents += 1
        self.counts.asked += known.asked
        self.undecided += known.undecided
        self.trusted += known.trusted


class Hunt:
    """One run over streams. `alerts` gives what was found; the other attributes say what was met on the way.

    failures  inputs that could not be read, or only in part
    ignored   files of a folder that are no log
    formats   streams read, by format
    """

    def __init__(
        self,
        detections: Sequence[Detection],
        *,
        literal: bool = False,
        window: Window | None = None,
        quarantine: Quarantine | None = None,
        processes: int | None = None,
        every_event: bool = False,
    ) -> None:
        """every_event: parses all, also what can hold nothing wanted: slow, and the same answers."""
        self._window = window or Window()
        self._catalogue, self._literal = packaged(), literal
        self._detections = detections
        self._lines: Lines | None = None
        self.engine = Engine(detections)
        wanted = wanted_by((detection.required_literals for detection in detections), self._catalogue)
        self.wanted = EVERYTHING if every_event else wanted
        # What is kept of lines goes into one file, which one process writes.
        self._processes = 1 if quarantine else processes
        self._replay = Replay(self._catalogue, self.wanted, literal=literal, processes=self._processes)
        self.met = Met(Tally(quarantine=quarantine))
        self.failures: list[InputError] = []
        self.ignored: list[InputError] = []
        self.formats: dict[str, int] = {}

    def alerts(self, streams: Sequence[Stream], progress: Progress = lambda *_: None) -> Iterator[Document]:
        """The alerts of all streams, in the order of their events within each."""
        for alert in self.found(streams, progress):
            assert not isinstance(alert, Started)  # noqa: S101 - without lines none is
            yield alert

    def found(
        self,
        streams: Sequence[Stream],
        progress: Progress = lambda *_: None,
        lines: Lines | None = None,
        begun: Learning | None = None,
    ) -> Iterator[Document | Started]:
        """The same; with lines, an alert that nobody needs to look at any more comes as the start of its line. begun:
        the first stream, where what it teaches is being read already.
        """
        self._lines = lines
        for stream in streams:
            with stream:
                yield from self._found_in(stream, progress, begun)
            begun = None
            self.failures += stream.failures.values()

    def _found_in(self, stream: Stream, progress: Progress, begun: Learning | None) -> Iterator[Document | Started]:
        if not stream.parts:
            return
        try:
            form = format_of(stream)
        except InputError as error:
            if stream.failures and not stream.head():
                return  # it is not empty: nothing of it could be read, and that is told
            # What a folder holds beside its logs is no failure, unless it holds no log at all.
            (self.ignored if stream.found_in_folder else self.failures).append(error)
            return
        self.formats[form.name] = self.formats.get(form.name, 0) + 1
        learned = self._replay.learn(stream, form, progress, begun)
        stream.on_read = lambda done: progress(stream, 2, done)

        catalogue = None if self._literal else self._catalogue
        alike = Alike(self.engine, self._lines, learned.lessons, catalogue) if self._lines else None
        learnt = Learnt()

        def judge(stretch: Stretch) -> Iterator[_Part]:
            return self._judge(stretch, learned, alike)

        for stretch, part in in_order(learned.stretches, judge, self._processes):
            yield from self._admitted(part.hits, learnt.add(part.pid, part.learnt))
            if part.met:
                self._take_in(part.met, stream)
                if stretch.end is not None:
                    progress(stream, 2, stretch.end)
        self.engine.source_complete(stream.name)

    def _judge(self, stretch: Stretch, learned: Learned, alike: Alike | None) -> Iterator[_Part]:
        """In a process of its own where there are several: what is found in a stretch."""
        met = Met(Tally(quarantine=self.met.tally.quarantine))
        self.engine.counts = met.counts
        pid, learnt = os.getpid(), alike.learnt if alike else {}
        for hits in batched(self._hits(stretch, learned, met, alike)):
            yield _Part(_packed(hits), pid, learnt)
            learnt.clear()
        met.unread = stretch.stream.failures
        yield _Part(_packed(()), pid, learnt, met)

    def _hits(self, stretch: Stretch, learned: Learned, met: Met, alike: Alike | None) -> Iterator[_Hit | _Repeated]:
        if not alike or not learned.form.events:
            for document in learned.documents(stretch, met.tally):
                yield from self._judged(document, met)
            return
        always = self._window == Window()
        for likeness, event in learned.form.events(stretch, learned.wanted, met.tally, alike.get):
            if isinstance(event, Judgement):
                if likeness and (always or self._window.holds_time(iso(likeness.time))):
                    met.repeat(event)
                    if event.templates:
                        yield _Repeated(event.number, *event.values(likeness))
            elif made := document_of(event):
                worth = likeness and alike.is_worth(likeness)
                learn = partial(alike.learn, likeness, event) if likeness and worth else None
                yield from self._judged(learned.resolved(made), met, learn)

    def _judged(self, document: Document, met: Met, learn: Learn | None = None) -> Iterator[_Hit | _Repeated]:
        """What is found of a document, which is also passed to learn."""
        if not self._window.holds(document):
            return
        before = met.counts.asked, met.undecided, met.trusted
        met.note(document)
        found = []
        for number, alert in self.engine.find(document):
            found.append((self._detections[number].detector, number, alert))
            yield self._hit(number, alert, document)
        if learn:
            asked, undecided, trusted = before
            learn(document, found, (met.counts.asked - asked, met.undecided - undecided, met.trusted - trusted))

    def _hit(self, number: int, alert: Document, document: Document) -> _Hit:
        detector = self._detections[number].detector
        signal = alert["kibana"]["alert"]
        shared = signal["rule"] is detector.rule
        if self._lines and shared and detector.suppression is None:
            return _Hit(number, signal["uuid"], signal["severity"], self._lines.start(alert))
        if shared:
            signal["rule"] = None
        return _Hit(number, alert=alert, document=document if detector.suppression else None)

    def _admitted(self, packed: bytes, learnt: Mapping[int, list[Template]]) -> Iterator[Document | Started]:
        decode = _unpack if packed[:1] == b"m" else pickle.loads
        for hit in decode(packed[1:]):
            if isinstance(hit, _Repeated):
                for template, uuid in zip(learnt[hit.number], hit.uuids, strict=True):
                    if self.engine.is_new(uuid):
                        detector = self._detections[template.number].detector
                        yield Started(detector, uuid, template.severity, template.filled(hit.values, uuid))
                continue
            detector = self._detections[hit.number].detector
            if (alert := hit.alert) is None:
                if self.engine.is_new(hit.uuid):
                    yield Started(detector, hit.uuid, hit.severity, hit.start)
                continue
            signal = alert["kibana"]["alert"]
            if signal["rule"] is None:
                signal["rule"] = detector.rule
            if (kept := self.engine.admit(hit.number, alert, hit.document or alert)) is not None:
                yield kept

    def _take_in(self, met: Met, stream: Stream) -> None:
        self.met.tally.add(met.tally)
        self.met.counts.add(met.counts)
        self.met.undecided += met.undecided
        self.met.trusted += met.trusted
        stream.failures |= met.unread


def _packed(hits: Sequence[_Hit | _Repeated]) -> bytes:
    """Hits as MessagePack, which is quicker to read than pickle; pickled where it cannot hold them."""
    try:
        return b"m" + msgspec.msgpack.encode(hits)
    except (TypeError, ValueError, OverflowError):
        return b"p" + pickle.dumps(hits, pickle.HIGHEST_PROTOCOL)
