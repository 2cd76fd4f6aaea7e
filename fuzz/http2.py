"""Connections of HTTP/2 and of ttrpc, both directions, cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sockwarden.requests.http2 import Http2
from sockwarden.requests.http2_frames import PREFACE
from sockwarden.requests.message import MOST_ANSWER, Answered, Asked, Conversation, Direction, Event, Unproven
from sockwarden.requests.ttrpc import Ttrpc

LONGEST = 4096

_RECORDINGS = Path(__file__).parents[1] / "tests" / "requests" / "recordings"
_TTRPC, _LATE = 1, 2
_MOST_BODY = 64
_GAP = 0x80

Piece = tuple[Direction, int, bytes]


def seeds() -> Iterator[bytes]:
    """The beginnings of the recorded connections, from their first byte and late."""
    for path in sorted(_RECORDINGS.glob("*.tsv")):
        data = bytearray([_TTRPC * (".ttrpc" in path.name)])
        for line in path.read_text("ascii").splitlines():
            name, _, text = line.split("\t")
            piece = bytes.fromhex(text)
            if len(data) + len(piece) + 3 > LONGEST:
                break
            data += bytes([Direction[name.upper()]]) + len(piece).to_bytes(2) + piece
        yield bytes(data)
        yield bytes([data[0] | _LATE]) + data[1:]


def check(data: bytes) -> None:
    """The events are the same whatever the cut, and without the bytes that are not wanted."""
    if not data:
        return
    fed = list(_pieces(data[1:]))
    events = _told(_talk(data[0]), fed)
    _are_consistent(events)
    if data[0] & _LATE:
        return
    assert _told(_talk(data[0]), list(_cut(fed, 1 + len(data) % 11))) == events
    talk = _talk(data[0])
    assert _told(talk, fed, skip=True) == events


def vary(data: bytes, seed: int) -> bytes | None:
    """Puts a client's preface in front, without which little is read."""
    if seed % 4 or not data or PREFACE in data:
        return None
    return bytes([data[0] & ~3, 0]) + len(PREFACE).to_bytes(2) + PREFACE + data[1:]


def _talk(options: int) -> Conversation:
    kind = Ttrpc if options & _TTRPC else Http2
    return kind(at_start=not options & _LATE, most_body=_MOST_BODY)


def _pieces(data: bytes) -> Iterator[Piece]:
    """Of each: direction and whether bytes are missing before it, two bytes of length, the bytes."""
    offsets = [7, 9]
    while len(data) > 3:
        direction = Direction(data[0] & 1)
        size = int.from_bytes(data[1:3])
        piece, data_after = data[3 : 3 + size], data[3 + size :]
        offsets[direction] += bool(data[0] & _GAP)
        yield direction, offsets[direction], piece
        offsets[direction] += len(piece)
        data = data_after


def _cut(fed: list[Piece], size: int) -> Iterator[Piece]:
    for direction, offset, data in fed:
        for at in range(0, len(data), size):
            yield direction, offset + at, data[at : at + size]


def _told(talk: Conversation, fed: list[Piece], *, skip: bool = False) -> list[Event]:
    events: list[Event] = []
    wanted = [0, 0]
    for direction, offset, data in fed:
        unwanted = max(talk.wanted(direction) - offset, 0) if skip else 0
        if data[unwanted:]:
            events += talk.feed(direction, offset + unwanted, data[unwanted:])
        assert talk.wanted(direction) >= wanted[direction]
        wanted[direction] = talk.wanted(direction)
    return [*events, *talk.overdue()]


def _are_consistent(events: list[Event]) -> None:
    """A request is told of once, then its answer once, and nothing is told of after a break."""
    asked: set[int] = set()
    answered: set[int] = set()
    for event in events:
        if isinstance(event, Asked):
            assert event.number not in asked
            asked.add(event.number)
            assert len(event.body) <= _MOST_BODY
            assert event.truncated or event.size == len(event.body)
        elif isinstance(event, Answered):
            assert event.number in asked - answered
            answered.add(event.number)
            assert len(event.body) <= MOST_ANSWER
    assert asked == set(range(len(asked)))
    breaks = [index for index, event in enumerate(events) if isinstance(event, Unproven)]
    assert len(breaks) < 2
    assert not breaks or not any(isinstance(event, Asked) for event in events[breaks[0] :])
