"""What holds of every document and every hunt, whatever the input was: the targets' shared properties."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import msgspec
from fuzz.properties import is_safe
from rich.console import Console

from sockwarden.alerts import Detector, build
from sockwarden.detect import Detection, Engine, RuleDetection, SignatureDetection
from sockwarden.document import Document, get
from sockwarden.enrich import name_component
from sockwarden.literals import Wanted
from sockwarden.pipeline import Hunt
from sockwarden.readers import Stream
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.sinks import FORMS, Group, LineSink, TerminalSink, block, escape, one_line
from sockwarden.sockets import Lessons, Resolver, packaged

DETECTIONS: tuple[Detection, ...] = (
    *map(RuleDetection, load_packaged()),
    *(SignatureDetection(signature()) for signature in SIGNATURES),
)
_ANY = Detector("any", "Any document", "low", 21, "1", [], {})
_HEX = frozenset("0123456789abcdef")

_INPUT = os.memfd_create("input")


def carry(documents: Sequence[Document]) -> None:
    """Takes documents that were just read through identity and detection to alerts, and shows an alert on each."""
    lessons = Lessons(packaged())
    for document in documents:
        lessons.observe(document)
    lessons.taught(packaged().wanted.addresses)
    resolver, literal = Resolver(packaged(), lessons), Resolver(packaged(), lessons, literal=True)
    engine = Engine(DETECTIONS)
    for document in documents:
        again = _copy(document)
        literal.resolve(again)
        _copy(again)
        resolver.resolve(document)
        resolved = _copy(document)
        resolver.resolve(document)
        assert document == resolved, "resolving is not idempotent"
        name_component(document)
        show([*engine.judge(document), build(document, _ANY, view="both")])


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
    for alert in alerts:
        sink.add(alert)
    sink.close()


def hunt(data: bytes) -> None:
    """A hunt through a file of these bytes fails with nothing but its own errors, and skipping what no detector
    wants loses no alert.
    """
    wanted, everything = Hunt(DETECTIONS), Hunt(DETECTIONS)
    everything.wanted = Wanted(everything=True)
    found, all_there_is = (
        {get(alert, "kibana.alert.uuid") for alert in _alerts(one, data)} for one in (wanted, everything)
    )
    # Where a record came after its event had ended, more lines in between only end it sooner. A document that names
    # a runtime itself is found by the canonical address beside it, which whoever wrote the one wrote too.
    if not everything.tally.late and b"runtime" not in data:
        assert found >= all_there_is, f"skipped {len(all_there_is - found)} of {len(all_there_is)} alerts"
    for error in (*wanted.failures, *wanted.ignored):
        assert is_safe(escape(str(error)))


def _alerts(one: Hunt, data: bytes) -> list[Document]:
    os.ftruncate(_INPUT, 0)
    os.pwrite(_INPUT, data, 0)
    return list(one.alerts([Stream("input", [f"/proc/self/fd/{_INPUT}"])]))


def _copy(document: Document) -> Document:
    """The document through JSON, which must change nothing."""
    copy: Document = msgspec.json.decode(msgspec.json.encode(document))
    assert copy == document, "the document changes when it is written and read"
    return copy
