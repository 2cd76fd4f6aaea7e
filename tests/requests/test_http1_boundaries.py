"""Requests in HTTP/1.x end where Go's server sees their end, or nowhere for certain."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.requests.conversation import begin
from sockwarden.requests.message import NEVER, Answered, Asked, Direction, Event, Unproven

BOUNDARIES = tomllib.loads((Path(__file__).parent / "http1_boundaries.toml").read_text("utf-8"))["case"]
REQUEST = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}"


def received(raw: bytes, cuts: tuple[int, ...] = ()) -> list[Event]:
    conversation = begin(at_start=True)
    events: list[Event] = []
    for start, stop in pairwise((0, *sorted(cuts), len(raw))):
        events += conversation.feed(Direction.RECEIVED, start, raw[start:stop])
    return events


def raw_of(case: dict[str, Any]) -> bytes:
    text: str = case["received"]
    return text.replace("%LONG%", "a" * 9000).encode("latin-1")


@pytest.mark.parametrize("case", BOUNDARIES, ids=lambda case: case["name"])
def test_no_boundary_but_those_that_go_sees(case: dict[str, Any]) -> None:
    events = received(raw_of(case))
    asked = [event for event in events if isinstance(event, Asked)]
    whole = [[one.method, one.target, one.body.decode("latin-1")] for one in asked if not one.truncated]
    unproven = [event.why for event in events if isinstance(event, Unproven)]
    if case["verdict"] == "same":
        assert (whole, unproven) == (case["go"], [])
        return
    assert unproven == [case["why"]]
    assert len(whole) == case["proven"]
    assert whole == case["go"][: case["proven"]]
    for method, target, _ in case["go"][case["proven"] :][:1]:
        assert (asked[-1].method, asked[-1].target, asked[-1].truncated) == (method, target, True)


@pytest.mark.parametrize("case", BOUNDARIES, ids=lambda case: case["name"])
def test_boundaries_do_not_depend_on_where_the_bytes_are_cut(case: dict[str, Any]) -> None:
    raw = raw_of(case)
    events = received(raw)
    for cut in range(1, min(len(raw), 300)):
        assert received(raw, (cut,)) == events
    assert received(raw, tuple(range(1, len(raw)))) == events


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(Direction), st.integers(0, 200), st.binary(max_size=100))), st.booleans())
def test_any_bytes_are_taken(pieces: list[tuple[Direction, int, bytes]], with_request: bool) -> None:
    conversation = begin(at_start=True)
    at = dict.fromkeys(Direction, 0)
    if with_request:
        conversation.feed(Direction.RECEIVED, 0, REQUEST)
        at[Direction.RECEIVED] = len(REQUEST)
    for direction, gap, data in pieces:
        if direction is Direction.RECEIVED and not with_request:
            data = b"G" + data  # other protocols have tests of their own
        before = conversation.wanted(direction)
        conversation.feed(direction, at[direction] + gap, data)
        at[direction] += gap + len(data)
        assert conversation.wanted(direction) >= before or before == NEVER
        conversation.overdue()


def test_a_head_without_an_end_is_not_kept_forever() -> None:
    conversation = begin(at_start=True)
    start = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nX: "
    events = conversation.feed(Direction.RECEIVED, 0, start)
    offset = len(start)
    while not events and offset < 2 << 20:
        events = conversation.feed(Direction.RECEIVED, offset, b"a" * 4096)
        offset += 4096
    assert events == [
        Asked(0, "http/1.1", "POST", "/containers/create", truncated=True),
        Unproven("a head is too long"),
    ]
    assert offset <= (256 << 10) + 4096 + len(start)


def test_answers_that_never_come_are_not_waited_for_forever() -> None:
    events = received(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * 1000)
    unanswered = [event for event in events if isinstance(event, Answered)]
    assert len(events) - len(unanswered) == 1000
    assert len(unanswered) > 700
    assert {event.status for event in unanswered} == {None}


def test_why_holds_nothing_of_the_request() -> None:
    for line in (b"X-Registry-Auth s3cret", b"X-Registry-Auth : s3cret", b"Content-Length: s3cret"):
        *_, last = received(b"POST /images/create HTTP/1.1\r\nHost: d\r\n" + line + b"\r\n\r\n")
        assert isinstance(last, Unproven)
        assert "s3cret" not in last.why
