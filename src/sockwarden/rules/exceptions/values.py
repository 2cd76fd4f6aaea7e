"""Value lists: files of one value a line, which entries of type `list` refer to by the file's name.

The list's type says how a line and a document's value are read: an address is the same in any spelling.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sockwarden.errors import RuleError
from sockwarden.kql.indexed import as_address, as_text, reader_of
from sockwarden.kql.scalars import parse_address, parse_network
from sockwarden.kql.words import words_of
from sockwarden.rules.files import read_bytes
from sockwarden.rules.schema import shorten

MAX_BYTES = 16 << 20
"""The largest value list that is read."""

_EXACT = (
    "keyword",
    "boolean",
    "date",
    "date_nanos",
    "byte",
    "short",
    "integer",
    "long",
    "float",
    "half_float",
    "double",
    "ip",
)
TYPES = (*_EXACT, "ip_range", "text")
"""The types of value lists that are held against documents here."""

Contains = Callable[[object], bool]


class UnreadableLineError(ValueError):
    """A line that is no value of the list's type. line: counted from 1."""

    def __init__(self, line: int, text: str, kind: str) -> None:
        super().__init__(f"line {line}: {shorten(text)!r} is no value of type {kind}")
        self.line = line


def load_values(path: Path, kind: str, *, owned: bool) -> Contains:
    """The test whether a document's value is in a list. RuleError when the file cannot be used, with its line."""
    content = read_bytes(path, MAX_BYTES, what="value list", owned=owned)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleError("not a text in UTF-8", where=str(path), why=f"line {line}: {error.reason}") from None
    try:
        return parse_values(text, kind)
    except UnreadableLineError as error:
        raise RuleError("the value list cannot be used", where=str(path), why=str(error)) from None


def parse_values(text: str, kind: str) -> Contains:
    """The test whether a document's value is in a list with this text. Raises UnreadableLineError.

    Empty lines are no values; whitespace within a line counts.
    """
    if kind == "ip_range":
        return _ranges(text)
    if kind == "text":
        return _words(text)
    read = reader_of(kind)
    values = set()
    for line, value in _lines(text):
        known = read(value)
        if known is None:
            raise UnreadableLineError(line, value, kind)
        values.add(known)
    return lambda value: read(value) in values


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if value := line.removesuffix("\r"):
            yield number, value


class _Ranges(msgspec.Struct, frozen=True):
    """Ranges of addresses of one version, as numbers, apart from each other and in order."""

    first: list[int]
    last: list[int]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.first, number) - 1
        return place >= 0 and number <= self.last[place]


def _ranges(text: str) -> Contains:
    found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for line, value in _lines(text):
        version, first, last = _range(line, value)
        found[version].append((first, last))
    by_version = {version: _merged(pairs) for version, pairs in found.items()}

    def contains(value: object) -> bool:
        address = as_address(value)
        return address is not None and int(address) in by_version[address.version]

    return contains


def _range(line: int, text: str) -> tuple[int, int, int]:
    """`192.0.2.0/24`, `192.0.2.1-192.0.2.9` or one address."""
    left, dash, right = (part.strip() for part in text.partition("-"))
    if not dash:
        network = parse_network(left)
        if network is not None:
            return network.version, int(network.network_address), int(network.broadcast_address)
    else:
        first, last = parse_address(left), parse_address(right)
        if first is not None and last is not None and first.version == last.version and int(first) <= int(last):
            return first.version, int(first), int(last)
    raise UnreadableLineError(line, text, "ip_range")


def _merged(pairs: list[tuple[int, int]]) -> _Ranges:
    firsts: list[int] = []
    lasts: list[int] = []
    for first, last in sorted(pairs):
        if lasts and first <= lasts[-1]:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return _Ranges(firsts, lasts)


def _words(text: str) -> Contains:
    """A line counts when it has every word of the document's value, as Kibana asks its lists of type text."""
    lines_of: dict[str, set[int]] = {}
    for line, value in _lines(text):
        for word in words_of(value):
            lines_of.setdefault(word, set()).add(line)
    nowhere: set[int] = set()

    def contains(value: object) -> bool:
        shown = as_text(value)
        words = sorted({*words_of(shown)} if shown else (), key=lambda word: len(lines_of.get(word, nowhere)))
        if not words:
            return False
        lines = lines_of.get(words[0], nowhere)
        for word in words[1:]:
            if not lines:
                return False
            lines = lines & lines_of.get(word, nowhere)
        return bool(lines)

    return contains
