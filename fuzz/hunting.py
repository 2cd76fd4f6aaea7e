"""What holds of every document and every hunt, whatever the input was: the targets' shared properties."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence

import msgspec
from fuzz.properties import is_safe
from rich.console import Console

from sockwarden.alerts import Detector, build
from sockwarden.detect import Detection, Engine, RuleDetection, SignatureDetection
from sockwarden.document import Document, get
from sockwarden.enrich import name_component
from sockwarden.pipeline.hunt import Hunt, Started
from sockwarden.readers import Stream
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.sinks import FORMS, Group, Lines, LineSink, escape
from sockwarden.sinks.terminal import TerminalSink, block, one_line
from sockwarden.sockets import Lessons, Resolver, lesson_in, packaged

DETECTIONS: tuple[Detection, ...] = (
    *map(RuleDetection, load_packaged()),
    *(SignatureDetection(signature()) for signature in SIGNATURES),
)
_ANY = Detector("any", "Any document", "low", 21, "1", [], {})
_HEX = frozenset("0123456789abcdef")

_INPUT = os.memfd_create("input")


def judge(documents: Iterable[Document], lessons: Lessons) -> list[Document]:
    """Takes documents that were just read through identity and detection to alerts."""
    resolver, engine = Resolver(packaged(), lessons), Engine(DETECTIONS)
    alerts: list[Document] = []
    for document in documents:
        resolver.resolve(document)
        name_component(document)
        alerts += engine.judge(document)
    return alerts


def carry(documents: Sequence[Document], lessons: Lessons) -> None:
    """The same, with what holds on the way; then shows the alerts, and one on every document whatever it is."""
    literal, resolver = Resolver(packaged(), lessons, literal=True), Resolver(packaged(), lessons)
    for document in documents:
        again = _copy(document)
        literal.resolve(again)
        _copy(again)
        resolver.resolve(document)
        resolved = _copy(document)
        resolver.resolve(document)
        assert document == resolved, "resolving is not idempotent"
    alerts = judge(documents, lessons)
    show([*alerts, *(build(document, _ANY, view="both") for document in documents)])


def learn(documents: Iterable[Document]) -> Lessons:
    """What documents teach, all of them."""
    lessons = Lessons()
    for document in documents:
        lessons.learn(lesson_in(document, packaged()))
    lessons.taught(packaged().wanted.addresses)
    return lessons


def show(alerts: Sequence[Document]) -> None:
    """Alerts can be written in every form, and printed without a character that moves a terminal."""
    for alert in alerts:
        identity = get(alert, "kibana.alert.uuid")
        assert len(identity) == 64 and _HEX.issuperset(identity), identity
        for form in FORMS:
            LineSink(form, io.BytesIO()).add(alert)
        for text in (*one_line(alert), *(line.plain for line in block(Group([alert]), 100))):
            assert is_safe(text), text
    sink = TerminalSink(Console(file=io.StringIO(), width=100, color_system=None))
    for alert in alerts[-2:]:  # the one on any document among them; all of them would take most of a session's time
        sink.add(alert)
    sink.close()


def hunt(data: bytes, *, everything: bool = False) -> set[str]:
    """A hunt through a file of these bytes fails with nothing but its own errors; gives the alerts' identities.

    everything: without skipping what no detector wants.
    """
    os.ftruncate(_INPUT, 0)
    os.pwrite(_INPUT, data, 0)
    one = Hunt(DETECTIONS, every_event=everything)
    alerts = list(one.alerts([_input()]))
    lines = Lines("ndjson")
    again = Hunt(DETECTIONS, every_event=everything).found([_input()], lines=lines)
    written = [(alert.start or b"") + lines.end(alert.detector.rule) for alert in again if isinstance(alert, Started)]
    assert written == [lines.line(alert) for alert in alerts], "with what is alike judged once"
    for error in (*one.failures, *one.ignored):
        assert all(map(is_safe, map(escape, str(error).split("\n"))))
    return identities(alerts)


def _input() -> Stream:
    return Stream("input", [f"/proc/self/fd/{_INPUT}"])


def identities(alerts: Iterable[Document]) -> set[str]:
    """What tells these alerts from others."""
    return {get(alert, "kibana.alert.uuid") for alert in alerts}


def _copy(document: Document) -> Document:
    """The document through JSON, which must change nothing."""
    copy: Document = msgspec.json.decode(msgspec.json.encode(document))
    assert copy == document, "the document changes when it is written and read"
    return copy
