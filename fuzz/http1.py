"""A connection in HTTP/1.x in both directions; written down as pieces, each after a NUL and a sign.

`>` received, `<` sent, `+` and `-` that many bytes (two, big-endian) nobody saw of either, `*` what was received last,
sixty-four times (thrice at most), `!` overdue. The first byte says how small the received pieces are cut.
"""

from __future__ import annotations

import re
import tomllib
from collections import deque
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from sockwarden.requests.http1.connection import Http1
from sockwarden.requests.message import NEVER, Answered, Asked, Conversation, Direction, Event, Unproven
from sockwarden.requests.target import path_of

LONGEST = 2048

_CASES = Path(__file__).parents[1] / "tests" / "requests"
_MOST_BODY = 64
_TIMES, _MOST_REPEATED = 64, 3
_MOST_KEPT = 600 << 10
_WRITTEN = {">": b"\0>", "<": b"\0<", "miss>": b"\0+", "miss<": b"\0-", "overdue": b"\0!"}


def seeds() -> Iterator[bytes]:
    """Each case of the tests that is short enough."""
    for case in tomllib.loads((_CASES / "http1_boundaries.toml").read_text("utf-8"))["case"]:
        yield (b"\7\0>" + case["received"].encode("latin-1"))[:LONGEST]
    for case in tomllib.loads((_CASES / "http1_conversations.toml").read_text("utf-8"))["case"]:
        raw = b"\1"
        for step, *values in case["steps"]:
            for value in values or [""]:
                raw += _WRITTEN.get(step, b"\0!")
                raw += value.to_bytes(2, "big") if isinstance(value, int) else value.encode("latin-1")
        yield raw[:LONGEST]


def check(data: bytes) -> None:
    """No input raises or is kept without a limit, and events do not depend on how the received bytes are cut."""
    steps = re.split(rb"\0([><+*!-])", data[1:])[1:]
    pairs = list(zip(steps[::2], steps[1::2], strict=True))
    events = _events(pairs, 1 << 30)
    assert _events(pairs, max(data[:1] or b"\1", b"\1")[0]) == events
    _are_in_order(events)


class _Nothing:
    """What follows in HTTP/2."""

    def __init__(self, number: int) -> None:
        self.number = number

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:  # noqa: ARG002 - of the contract
        return []

    def wanted(self, direction: Direction) -> int:  # noqa: ARG002 - of the contract
        return NEVER

    @property
    def whole(self) -> bool:
        return True

    def overdue(self) -> list[Event]:
        return []


def _events(pairs: list[tuple[bytes, bytes]], piece: int) -> list[Event]:
    conversation: Conversation = Http1(most_body=_MOST_BODY, upgraded=_Nothing)
    at = dict.fromkeys(Direction, 0)
    events: list[Event] = []
    last, repeated = b"", 0
    for sign, data in pairs:
        if sign == b"!":
            events += conversation.overdue()
        elif sign in b"+-":
            at[Direction.RECEIVED if sign == b"+" else Direction.SENT] += int.from_bytes(data[:2], "big")
        elif sign == b"<":
            events += _fed(conversation, Direction.SENT, at, data, len(data))
        else:
            often = sign == b"*"
            repeated += often
            if repeated > _MOST_REPEATED:
                break
            last = last if often else data
            size = piece * _TIMES if often else piece
            events += _fed(conversation, Direction.RECEIVED, at, last * _TIMES if often else last, size)
        assert _kept(conversation) < _MOST_KEPT
    return events


def _fed(
    conversation: Conversation, direction: Direction, at: dict[Direction, int], data: bytes, piece: int
) -> list[Event]:
    events: list[Event] = []
    for start in range(0, len(data), piece or 1):
        before = conversation.wanted(direction)
        events += conversation.feed(direction, at[direction], data[start : start + piece])
        at[direction] += len(data[start : start + piece])
        assert conversation.wanted(direction) >= min(before, at[direction])
    return events


def _kept(value: object) -> int:
    """Bytes that a conversation holds on to."""
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, tuple | deque):
        return sum(map(_kept, value)) + 8 * len(value)
    fields = not isinstance(value, type | Enum) and hasattr(value, "__dict__")
    return sum(map(_kept, vars(value).values())) if fields else 8


def _are_in_order(events: list[Event]) -> None:
    asked = [event for event in events if isinstance(event, Asked)]
    assert [event.number for event in asked] == list(range(len(asked)))
    assert len({event.number for event in events if isinstance(event, Answered)} - set(range(len(asked)))) == 0
    answered = [event.number for event in events if isinstance(event, Answered)]
    assert len(set(answered)) == len(answered)
    assert sum(isinstance(event, Unproven) for event in events) <= 1
    for event in asked:
        assert len(event.body) <= _MOST_BODY
        assert event.truncated or event.size == len(event.body)
        where = path_of(event.target)
        assert event.truncated or where.valid
        assert not where.valid or where.path[:1] in ("/", "*")
