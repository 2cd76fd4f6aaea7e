"""What judging costs, counted instead of timed: over the captures, detectors asked and fields looked at a document."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from sockwarden import kql
from sockwarden.cli.detections import chosen
from sockwarden.detect import Engine
from sockwarden.detect import index as index_of_detectors
from sockwarden.document import Document
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import format_of, plan
from sockwarden.sockets import packaged

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
_FIELDS = str(Path(kql.__file__).with_name("fields.py"))
_INDEX = index_of_detectors.__file__

MOST_ASKED = 2.0  # of 15
MOST_LOOKS_OF_INDEX = 4.0
MOST_LOOKS_OF_QUERIES = 14.5


def documents() -> list[Document]:
    found: list[Document] = []
    wanted = wanted_by((one.required_literals for one in chosen(())), packaged())
    for stream in plan([str(path) for path in sorted(CAPTURES.glob("*.audit.log"))]):
        with stream:
            found += Replay(packaged(), wanted).documents(stream, format_of(stream))
    return found


def test_a_document_concerns_few_detectors_and_few_of_its_fields_are_looked_at() -> None:
    engine = Engine(chosen(()))
    judged = documents()
    calls: Counter[tuple[str, str]] = Counter()

    def count(frame: FrameType, what: str, _: object) -> None:
        if what == "call":
            calls[frame.f_code.co_filename, frame.f_code.co_name] += 1

    alerts = 0
    sys.setprofile(count)
    try:
        for document in judged:
            alerts += len(list(engine.judge(document)))
    finally:
        sys.setprofile(None)
    assert len(judged) > 100 and alerts > len(judged)
    assert engine.counts.asked / len(judged) <= MOST_ASKED
    assert 1 < calls[_INDEX, "satisfied_by"] / len(judged) <= MOST_LOOKS_OF_INDEX
    assert 1 < calls[_FIELDS, "matches"] / len(judged) <= MOST_LOOKS_OF_QUERIES
