"""Connections of real clients: what is read off them, and that it is the same however they are cut."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sockwarden.requests.bodies import answer_of, body_of
from sockwarden.requests.http2 import Http2
from sockwarden.requests.message import MOST_BODY, Answered, Asked, Conversation, Direction, Event, Unproven
from sockwarden.requests.ttrpc import Ttrpc

FOLDER = Path(__file__).parent / "recordings"
RECORDINGS = sorted(FOLDER.glob("*.tsv"))
Piece = tuple[Direction, int, bytes]

recordings = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)


def pieces(path: Path) -> list[Piece]:
    lines = (line.split("\t") for line in path.read_text("ascii").splitlines())
    return [(Direction[name.upper()], int(offset), bytes.fromhex(data)) for name, offset, data in lines]


def conversation(path: Path, *, at_start: bool = True, most_body: int = MOST_BODY) -> Conversation:
    kind = Ttrpc if ".ttrpc" in path.name else Http2
    return kind(at_start=at_start, most_body=most_body)


def outcome(talk: Conversation, fed: list[Piece]) -> list[Event]:
    """The events; bytes that are not wanted are left out, as the sensor does."""
    events: list[Event] = []
    for direction, offset, data in fed:
        unwanted = max(talk.wanted(direction) - offset, 0)
        if data[unwanted:]:
            events += talk.feed(direction, offset + unwanted, data[unwanted:])
    return [*events, *talk.overdue()]


def cut(fed: list[Piece], most: int, seed: int) -> list[Piece]:
    """The same bytes in other pieces."""
    draw = random.Random(seed)  # noqa: S311 - any cut will do
    parts: list[Piece] = []
    for direction, offset, data in fed:
        at = 0
        while at < len(data):
            size = draw.randint(1, most)
            parts.append((direction, offset + at, data[at : at + size]))
            at += size
    return parts


def plain(told: dict[str, Any] | None) -> Any:
    """With the JSON in it as dictionaries."""
    return json.loads(msgspec.json.encode(told, enc_hook=lambda value: dict(value.pairs)))


def told(event: Event, methods: dict[int, str]) -> dict[str, Any]:
    row = {key: value for key, value in msgspec.to_builtins(event).items() if key != "body"}
    if isinstance(event, Asked):
        methods[event.number] = event.method
        row["headers"] = dict(event.headers)
        row["body"] = plain(body_of(event.method, event.body))
    elif isinstance(event, Answered):
        row["answer"] = plain(answer_of(methods[event.number], event.body))
    return row


@recordings
def test_golden_pair(path: Path) -> None:
    methods: dict[int, str] = {}
    result = [told(event, methods) for event in outcome(conversation(path), pieces(path))]
    golden = path.with_suffix(".json")
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    assert result == json.loads(golden.read_text(encoding="utf-8"))


def test_no_golden_file_is_an_orphan() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in RECORDINGS} != set()


@recordings
@given(most=st.integers(1, 400), seed=st.integers())
@settings(max_examples=3, deadline=None)
@example(most=1, seed=0)
def test_the_cut_of_reads_does_not_matter(path: Path, most: int, seed: int) -> None:
    fed = pieces(path)
    assert outcome(conversation(path), cut(fed, most, seed)) == outcome(conversation(path), fed)


@recordings
def test_bytes_that_are_not_wanted_make_no_difference(path: Path) -> None:
    fed = cut(pieces(path), 100, 1)
    talk = conversation(path, most_body=50)
    everything = [event for piece in fed for event in talk.feed(*piece)]
    assert outcome(conversation(path, most_body=50), fed) == [*everything, *talk.overdue()]


@recordings
def test_a_late_capture_knows_a_method_or_says_that_it_does_not(path: Path) -> None:
    fed = pieces(path)
    known = [event for event in outcome(conversation(path), fed) if isinstance(event, Asked)]
    for start in range(1, len(fed)):
        late = outcome(conversation(path, at_start=False), fed[start:])
        asked = [event for event in late if isinstance(event, Asked)]
        assert not any(isinstance(event, Unproven) for event in late)
        for event in asked:
            if event.method:
                assert (event.method, event.body) in {(one.method, one.body) for one in known}


def test_a_late_capture_does_not_know_a_path_that_was_indexed_before() -> None:
    """The first Containers/Get put its path into the table; the second one only names its place there."""
    path = FOLDER / "ctr-exec.http2.tsv"
    late = outcome(conversation(path, at_start=False), pieces(path)[4:])
    asked = [event for event in late if isinstance(event, Asked)]
    assert [(event.protocol, event.method.rpartition("/")[2]) for event in asked[:3]] == [
        ("grpc", ""),
        ("grpc", "Get"),
        ("grpc", "Exec"),
    ]
    assert body_of("/containerd.services.containers.v1.Containers/Get", asked[0].body) == {"id": "c1"}
