"""Whole connections in HTTP/1.x: what is told of them, and that it does not depend on how the bytes come."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.requests.http1.connection import Http1
from sockwarden.requests.message import MOST_BODY, NEVER, Answered, Asked, Conversation, Direction, Event

CASES = tomllib.loads((Path(__file__).parent / "http1_conversations.toml").read_text("utf-8"))["case"]


class Next:
    """What follows in HTTP/2: keeps what it gets."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fed: list[tuple[Direction, int, bytes]] = []

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        self.fed.append((direction, offset, data))
        return [Asked(self.number, "h2", "/a.Service/Call")] if direction is Direction.SENT else []

    def wanted(self, direction: Direction) -> int:
        return 1000 + direction

    @property
    def whole(self) -> bool:
        return True

    def overdue(self) -> list[Event]:
        return []


OF_SIGN = {">": Direction.RECEIVED, "<": Direction.SENT}


def told(events: Iterable[Event]) -> Iterator[str]:
    """Events as lines."""
    for event in events:
        if isinstance(event, Asked):
            cut = " truncated" if event.truncated else ""
            yield f"{event.number} {event.method} {event.target} {event.body.decode('latin-1')!r} of {event.size}{cut}"
        elif isinstance(event, Answered):
            yield f"{event.number} answered {event.status} {event.body.decode('latin-1')!r}"
        else:
            yield f"unproven: {event.why}"


def run(case: dict[str, Any], piece: int = 1 << 30) -> tuple[list[str], list[int]]:
    """The events of a case, received bytes cut to pieces, and what is wanted at its end: relative to the bytes that
    went by, empty when it is nothing.
    """
    conversation = Http1(most_body=case.get("most_body", MOST_BODY), upgraded=Next)
    at = {Direction.RECEIVED: 0, Direction.SENT: 0}
    last = dict.fromkeys(at, b"")
    events: list[Event] = []
    for step, *values in case["steps"]:
        if step == "overdue":
            events += conversation.overdue()
            continue
        direction = OF_SIGN[step[-1]]
        if step.startswith("miss"):
            at[direction] += values[0]
        elif step.startswith("again"):
            again = last[direction][-values[0] :]
            events += conversation.feed(direction, at[direction] - len(again), again)
        else:
            last[direction] = values[0].replace("%LONG%", "x" * 65537).encode("latin-1")
            size = piece if direction is Direction.RECEIVED else len(last[direction])
            for start in range(0, len(last[direction]), size):
                events += conversation.feed(direction, at[direction], last[direction][start : start + size])
                at[direction] += len(last[direction][start : start + size])
    wanted = {direction: conversation.wanted(direction) for direction in at}
    never = set(wanted.values()) == {NEVER}
    return list(told(events)), [] if never else [wanted[direction] - at[direction] for direction in at]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@pytest.mark.parametrize("piece", [1 << 30, 1, 7])
def test_conversation(case: dict[str, Any], piece: int) -> None:
    assert run(case, piece) == (case["events"], case["wanted"])


PIECES = [tuple(step) for case in CASES for step in case["steps"] if "%LONG%" not in step]
STEPS = st.one_of(
    st.sampled_from(PIECES),
    st.sampled_from(PIECES),
    st.tuples(st.sampled_from("><"), st.sampled_from([step[1] for step in PIECES if step[0] in "><"])),
    st.tuples(st.sampled_from(["miss>", "miss<"]), st.integers(1, 100)),
)


@settings(max_examples=300)
@given(steps=st.lists(STEPS, max_size=12), piece=st.integers(1, 50), most=st.sampled_from([8, 65536]))
def test_any_connection_is_told_alike_however_it_is_cut(steps: list[Any], piece: int, most: int) -> None:
    case = {"steps": steps, "most_body": most}
    events, wanted = run(case)
    assert run(case, piece) == (events, wanted)
    if any("/a.Service/Call" in line for line in events):
        return  # numbers are then the stub's
    numbers = [
        line.partition(" ")[0] for line in events if " answered " not in line and not line.startswith("unproven")
    ]
    assert numbers == [str(number) for number in range(len(numbers))]
    answered = [line.partition(" ")[0] for line in events if " answered " in line]
    assert len(set(answered)) == len(answered)
    assert sum(line.startswith("unproven") for line in events) <= 1


def test_grpc_is_handed_over_at_the_offsets_of_the_connection() -> None:
    made: list[Next] = []

    def upgraded(number: int) -> Conversation:
        made.append(Next(number))
        return made[-1]

    conversation = Http1(most_body=100, upgraded=upgraded)
    ask = b"POST /v1.41/grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    change = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    conversation.feed(Direction.RECEIVED, 0, ask)
    events = conversation.feed(Direction.SENT, 0, change + b"settings")
    assert list(told(events)) == ["0 answered 101 ''", "1 /a.Service/Call  '' of None"]
    conversation.feed(Direction.RECEIVED, len(ask), b"PRI")
    (after,) = made
    assert after.number == 1
    assert after.fed == [(Direction.SENT, len(change), b"settings"), (Direction.RECEIVED, len(ask), b"PRI")]
    assert conversation.wanted(Direction.SENT) == 1001
