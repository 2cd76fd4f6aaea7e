"""Line-delimited JSON: a format of it is a pair of functions, `recognise` and `to_documents` (ecs.py, tracee.py)."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.literals import Wanted
from sockwarden.readers.blocks import blocks
from sockwarden.readers.stretches import Stretch
from sockwarden.readers.tally import Tally

_decoder = msgspec.json.Decoder()
_UNDECODABLE = (ValueError, RecursionError, msgspec.DecodeError)

MOST_LINE_BYTES = 64 << 20
"""A search response may be one long line."""
MOST_LEVELS = 100
"""How deep objects and arrays may nest: five times what Elasticsearch's mappings allow, a tenth of Python's stack."""

Object = dict[str, Any]


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Lone surrogates as text inside JSON: \\xNN for a byte that was not UTF-8, \\uNNNN for an escape that was none."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - codecs names no narrower type
    codes = map(ord, error.object[error.start : error.end])
    spelled = (f"\\\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\\\u{code:04x}" for code in codes)
    return "".join(spelled), error.end


def _finite(number: str) -> float | str:
    """A number that a float can hold; else its text, as with NaN."""
    return float(number) if math.isfinite(float(number)) else number


codecs.register_error("sockwarden.spell-out", _spell_out)


def decode(line: bytes) -> dict[str, Any]:
    """The JSON object on one line. Text and numbers that are not valid are kept as text, spelled out.

    Raises InputError for what is not one JSON object, and for one that nests deeper than MOST_LEVELS.
    """
    try:
        try:
            entry = _decoder.decode(line)
        except _UNDECODABLE:
            entry = _decoder.decode(repaired(line))
    except _UNDECODABLE as error:
        raise InputError("a line that is no JSON", why=str(error)) from None
    if not isinstance(entry, dict):
        raise InputError("a line of JSON that is no object")
    if line.count(b"{") + line.count(b"[") > MOST_LEVELS and _levels(entry) > MOST_LEVELS:
        raise InputError(f"a line of JSON that nests deeper than {MOST_LEVELS} levels")
    return entry


def repaired(text: bytes) -> bytes:
    """JSON with its invalid texts and numbers as text, spelled out. Raises ValueError or RecursionError where it is no
    JSON at all.
    """
    lenient = json.loads(text.decode("utf-8", "surrogateescape"), parse_constant=str, parse_float=_finite)
    return json.dumps(lenient, ensure_ascii=False).encode("utf-8", "sockwarden.spell-out")


def _levels(entry: Object) -> int:
    """How many objects and arrays enclose the innermost value."""
    level = 0
    values: list[Any] = [entry]
    while values:
        level += 1
        inner = [child for value in values for child in (value.values() if isinstance(value, dict) else value)]
        values = [child for child in inner if isinstance(child, dict | list)]
    return level


def first_object(head: bytes) -> Object | None:
    """The first JSON object on a line of its own."""
    for line in head.split(b"\n")[:20]:
        try:
            return decode(line)
        except InputError:
            continue
    return None


def documents(
    to_documents: Callable[[Object], Iterable[Document]],
    kinds: tuple[bytes, ...],
    stretch: Stretch,
    wanted: Wanted,
    tally: Tally,
) -> Iterator[Document]:
    """The documents of every line that may hold what is wanted.

    kinds  names of the events of interest, where a format has such: then every one of them is read, so that one whose
           arguments are missing is missed by nobody
    """
    holds = _test(wanted, kinds)
    for block in blocks(stretch.chunks(), tally, most=MOST_LINE_BYTES):
        lines = block.split(b"\n")
        lines.pop()
        for line in lines:
            if not line.strip() or not holds(line):
                continue
            try:
                entry = decode(line)
                tally.events += 1
                yield from to_documents(entry)
            except InputError as error:
                tally.reject(error.what, line)


def _test(wanted: Wanted, kinds: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    """A test for one line: may it hold what is wanted? A line with a \\u escape could hold anything."""
    pieces = list(kinds) or [piece.encode("utf-8", "surrogateescape") for piece in sorted(wanted.addresses)]
    if not kinds:
        pieces += [str(number).encode() for number in sorted(wanted.inodes | wanted.ports)]

    def holds(line: bytes) -> bool:
        # A line that is not an object or was cut is passed on, so that it is counted.
        broken = line[:1] != b"{" or line.rstrip()[-1:] != b"}"
        return broken or b"\\u" in line or any(piece in line for piece in pieces)

    return (lambda _: True) if wanted.everything else holds
