"""Where the keys and values of a TOML text stand.

tomllib gives values without places. The scanner here knows TOML's words only (https://toml.io/en/v1.0.0); whether
a text is valid is for tomllib to say. It runs before tomllib, because it also bounds what tomllib is slow on or
recurses into: nesting, dotted keys with very many parts, and the sheer number of values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import msgspec

KeyPath = tuple[str | int, ...]
"""A place in the parsed file: keys, and indices into arrays. `()` is the file itself."""

MAX_DEPTH = 32
MAX_VALUES = 10_000
MAX_SCALAR = 100

# Branches exclude each other, so nothing here backtracks into another reading. Groups are not possessive: before Python
# 3.11.5 such a repeat could end too soon (gh-106052), and Debian 12 has 3.11.2.
_BLANK = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*")
_SPACE = re.compile(r"[ \t]*+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")
_QUOTED_KEY = re.compile(r""""(?:[^"\\\n]++|\\.)*"|'[^'\n]*+'""")
_STRING = re.compile(
    r'''"""(?:[^"\\]++|\\.|"(?!""))*""""{0,2}+'''
    r"""|'''(?:[^']++|'(?!''))*''''{0,2}+"""
    r'''|"(?!"")(?:[^"\\\n]++|\\.)*"'''
    r"""|'(?!'')[^'\n]*+'""",
    re.DOTALL,
)
_SCALAR = re.compile(r"[0-9A-Za-z_.:+-]++(?: (?=[0-9]{2}:)[0-9Zz.:+-]++)?")
_NUMERIC = "+-0123456789"


class Span(msgspec.Struct, frozen=True):
    """Offsets, in characters, at which a key and its value begin; the same for an array's element or a table. `end` is
    where the value ends, of a table or an unfinished value its beginning.
    """

    key: int
    value: int
    end: int


class TooComplexError(ValueError):
    """The text nests deeper, or holds more or longer values than any rule does; `offset` says where."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class _Invalid(Exception):  # noqa: N818 - ends the scan, never leaves this module: tomllib reports the error
    pass


def positions(text: str) -> dict[KeyPath, Span]:
    """The place of every table, key and array element of a TOML text whose line ends are `\\n`.

    Of an invalid text, the places up to the error. Raises TooComplexError beyond MAX_DEPTH, MAX_VALUES or MAX_SCALAR.
    """
    scan = _Scan(text)
    with suppress(_Invalid):
        scan.document()
    return scan.spans


class _Scan(msgspec.Struct):
    text: str
    at: int = 0
    spans: dict[KeyPath, Span] = {}
    arrays: dict[KeyPath, int] = {}  # the last index of each array of tables

    def document(self) -> None:
        table: KeyPath = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)

    def header(self) -> KeyPath:
        start = self.at
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.at += brackets
        *parents, last = self.key()
        self.expect("]" * brackets)
        path: KeyPath = ()
        for part in parents:
            path += (part,)
            self.spans.setdefault(path, Span(start, start, start))
            if path in self.arrays:
                path += (self.arrays[path],)
        path += (last,)
        if brackets == 2:
            self.spans.setdefault(path, Span(start, start, start))
            self.arrays[path] = self.arrays.get(path, -1) + 1
            path += (self.arrays[path],)
        self.place(path, Span(start, start, start))
        return path

    def pair(self, table: KeyPath) -> None:
        start = self.at
        *parents, last = self.key()
        self.expect("=")
        self.skip(_SPACE)
        for part in parents:
            table += (part,)
            self.spans.setdefault(table, Span(start, start, start))
        self.value((*table, last), start)

    def key(self) -> list[str]:
        parts = [self.key_part()]
        while self.text.startswith(".", self.at):
            self.at += 1
            parts.append(self.key_part())
            if len(parts) > MAX_DEPTH:
                raise TooComplexError(f"a key of more than {MAX_DEPTH} parts", self.at)
        return parts

    def key_part(self) -> str:
        self.skip(_SPACE)
        start = self.at
        quoted = self.text.startswith(('"', "'"), start)
        self.take(_QUOTED_KEY if quoted else _BARE_KEY)
        part = self.text[start : self.at]
        if quoted:
            try:
                part = tomllib.loads(f"key = {part}")["key"]
            except tomllib.TOMLDecodeError:
                raise _Invalid from None
        self.skip(_SPACE)
        return part

    def value(self, path: KeyPath, key_start: int) -> None:
        begin = self.at
        self.place(path, Span(key_start, begin, begin))
        match self.text[self.at : self.at + 1]:
            case "[":
                index = count()
                self.items("]", lambda: self.value((*path, next(index)), self.at))
            case "{":
                self.items("}", lambda: self.pair(path))
            case '"' | "'":
                self.take(_STRING)
            case _:
                self.take(_SCALAR)
                if self.at - begin > MAX_SCALAR and self.text[begin] in _NUMERIC:
                    raise TooComplexError(f"a number or date of more than {MAX_SCALAR} characters", begin)
        self.spans[path] = Span(key_start, begin, self.at)

    def items(self, closing: str, item: Callable[[], None]) -> None:
        self.at += 1
        self.skip(_BLANK)
        while not self.text.startswith(closing, self.at):
            item()
            self.skip(_BLANK)
            if not self.text.startswith(closing, self.at):
                self.expect(",")
                self.skip(_BLANK)
        self.at += 1

    def place(self, path: KeyPath, span: Span) -> None:
        if len(path) > MAX_DEPTH:
            raise TooComplexError(f"nested deeper than {MAX_DEPTH} levels", span.value)
        if len(self.spans) >= MAX_VALUES:
            raise TooComplexError(f"more than {MAX_VALUES} keys and values", span.value)
        self.spans[path] = span

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if not found:
            raise _Invalid
        self.at = found.end()

    def expect(self, word: str) -> None:
        if not self.text.startswith(word, self.at):
            raise _Invalid
        self.at += len(word)
