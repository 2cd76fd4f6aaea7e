"""Bodies of gRPC calls: Protocol Buffers, and the JSON in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.requests.bodies import INCOMPLETE, answer_of, body_of, table
from sockwarden.requests.go_json import Object
from sockwarden.requests.http2 import Http2
from sockwarden.requests.message import MOST_BODY, Asked, Direction
from sockwarden.requests.protobuf import Fields, read

LONGEST = 2048

_RECORDINGS = Path(__file__).parents[1] / "tests" / "requests" / "recordings"
_METHODS = sorted(table().method)


def seeds() -> Iterator[bytes]:
    """The bodies of the recorded calls, those that are not too long."""
    for path in sorted(_RECORDINGS.glob("*.http2.tsv")):
        talk = Http2(at_start=True, most_body=MOST_BODY)
        for line in path.read_text("ascii").splitlines():
            name, offset, text = line.split("\t")
            for event in talk.feed(Direction[name.upper()], int(offset), bytes.fromhex(text)):
                if isinstance(event, Asked) and event.method in _METHODS and len(event.body) < LONGEST:
                    yield bytes([_METHODS.index(event.method)]) + event.body


def check(data: bytes) -> None:
    """A body has a dictionary that is JSON; a part of it says nothing else, and never that it is all."""
    if not data:
        return
    method, body = _METHODS[data[0] % len(_METHODS)], data[1:]
    told, answer = body_of(method, body), answer_of(method, body)
    assert told is not None
    for one in (told, answer):
        _has_bounded_size(one, len(body))
    assert read(body).whole or told[INCOMPLETE]
    part = body[: len(body) * 2 // 3]
    _is_part(read(part), read(body))


def _is_part(part: Fields, whole: Fields) -> None:
    for number, numbers in part.numbers.items():
        assert whole.numbers[number][: len(numbers)] == numbers
    for number, values in part.values.items():
        assert whole.values[number][: len(values)] == values
    assert not part.whole or part.cut is None


def _has_bounded_size(told: dict[str, Any], size: int) -> None:
    """Each byte of a body is told of a few times at most: as an escape, with its field's name."""
    text = msgspec.json.encode(told, enc_hook=_pairs)
    assert len(text) <= 200 + 60 * size


def _pairs(value: Any) -> int:
    """JSON in a body counts by its number of keys alone: it may be nested deeper than is printed here."""
    assert isinstance(value, Object)
    return len(value.pairs)
