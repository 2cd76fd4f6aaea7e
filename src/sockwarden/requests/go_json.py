"""JSON as Go's encoding/json decodes it into structs, which is how Docker and Podman read what they are asked.

A field is found by its key without case, U+212A for k and U+017F for s among it; a key that comes again changes
what the first one left: an object goes on in the same struct, a list reuses the elements that are there, null leaves a
scalar as it is. tests/requests/go_json.jsonl has what Go itself said. A reader here never raises, and keeps what was
whole before the text broke or ended.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Literal, TypeAlias

Value: TypeAlias = "bool | int | float | str | list[Value] | Object | None"
State = Literal["whole", "cut", "broken"]
"""Of a text: a whole value, its beginning, or something that Go refuses."""

_MOST_DEPTH = 10_000
"""Go's own limit."""
_MOST_PLAIN = 64
_MOST_DIGITS = 18
_SPACE = re.compile(rb"[ \t\r\n]*")
_TEXT = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"')
_OPEN_TEXT = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_OPEN_NUMBER = re.compile(rb"-?(?:(?:0|[1-9][0-9]*)(?:\.\Z|(?:\.[0-9]+)?(?:[eE][+-]?[0-9]*)?))?\Z")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
_WORDS: tuple[tuple[bytes, bool | None], ...] = ((b"true", True), (b"false", False), (b"null", None))
_CASE: dict[int, int | str] = {
    **{upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)},
    0x212A: "k",
    0x017F: "s",
}

codecs.register_error("sockwarden.go", lambda error: ("\ufffd", error.start + 1))  # type: ignore[attr-defined]


class Object:
    """An object with its keys in order, again and again where they come so. Each method reads it as a field of a Go
    type would be filled; a value of another type is passed over.
    """

    __slots__ = ("_fields", "pairs")

    def __init__(self, pairs: list[tuple[str, Value]] | None = None) -> None:
        self.pairs: list[tuple[str, Value]] = pairs or []
        self._fields: dict[str, list[Value]] | None = None

    def values(self, name: str) -> list[Value]:
        """What a struct's field of this name is given, in order."""
        if self._fields is None:
            self._fields = {}
            for key, value in self.pairs:
                self._fields.setdefault(key.translate(_CASE), []).append(value)
        return self._fields.get(name.translate(_CASE), [])

    def text(self, name: str) -> str:
        """A string; empty where it is not there."""
        return next((value for value in reversed(self.values(name)) if isinstance(value, str)), "")

    def flag(self, name: str) -> bool:
        """A bool; false where it is not there."""
        return next((value for value in reversed(self.values(name)) if isinstance(value, bool)), False)

    def number(self, name: str) -> float | None:
        """A number; None where it is not there."""
        numbers = (value for value in reversed(self.values(name)) if isinstance(value, (int, float)))
        return next((value for value in numbers if not isinstance(value, bool)), None)

    def struct(self, name: str, *, pointer: bool = False) -> Object:
        """A struct, or a pointer to one, which null makes new."""
        pairs: list[tuple[str, Value]] = []
        for value in self.values(name):
            if isinstance(value, Object):
                pairs += value.pairs
            elif value is None and pointer:
                pairs = []
        return Object(pairs)

    def elements(self, name: str) -> list[Value] | None:
        """A slice; None where there is none, which is not the same as an empty one."""
        kept: list[Value] = []
        length: int | None = None
        for value in self.values(name):
            if isinstance(value, list):
                kept = _filled(kept, value) if value else []
                length = len(value)
            elif value is None:
                kept, length = [], None
        return None if length is None else kept[:length]

    def texts(self, name: str) -> list[str]:
        """The strings of a slice."""
        return [value for value in self.elements(name) or [] if isinstance(value, str)]

    def structs(self, name: str) -> list[Object]:
        """The structs of a slice."""
        return [value for value in self.elements(name) or [] if isinstance(value, Object)]

    def map(self, name: str) -> dict[str, Value]:
        """A map: its keys are told apart by case, and a key that comes again is a new value."""
        found: dict[str, Value] = {}
        for value in self.values(name):
            if isinstance(value, Object):
                found.update(value.pairs)
            elif value is None:
                found = {}
        return found

    def text_map(self, name: str) -> dict[str, str]:
        """A map of strings."""
        return {key: value for key, value in self.map(name).items() if isinstance(value, str)}

    def has(self, name: str) -> bool:
        """Whether the field is given anything but null."""
        return any(value is not None for value in self.values(name))


def read(data: bytes) -> tuple[Value, State]:
    """The first value of a text. What follows it is not looked at; an empty text is cut."""
    return _Reader(data).read()


def read_object(data: bytes) -> tuple[Object, State]:
    """The same where an object is wanted; empty where it is something else."""
    value, state = read(data)
    return (value, state) if isinstance(value, Object) else (Object(), state)


def _filled(kept: list[Value], given: list[Value]) -> list[Value]:
    """The elements of a slice after an array was read into it; behind its end the former ones stay."""
    filled = kept + [None] * (len(given) - len(kept))
    for index, value in enumerate(given):
        before = filled[index]
        if isinstance(value, Object) and isinstance(before, Object):
            filled[index] = Object(before.pairs + value.pairs)
        elif value is not None:
            filled[index] = value
    return filled


class _End(Exception):  # noqa: N818 - no error: it ends the reading
    def __init__(self, state: State) -> None:
        self.state: State = state


class _Reader:
    """Keeps the open containers itself, so that no text is too deep, and adds each value as soon as it is whole."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[list[Value] | Object] = []
        self._keys: list[str] = []
        self._root: list[Value] = []
        self._is_first = False

    def read(self) -> tuple[Value, State]:
        try:
            self._read_value()
            while self._open:
                self._read_next()
        except _End as end:
            return (self._root[0] if self._root else None), end.state
        return self._root[0], "whole"

    def _read_value(self) -> None:
        """A scalar, or the opening bracket of a container."""
        first = self._peek()
        if first in b"{[":
            self._at += 1
            if len(self._open) >= _MOST_DEPTH:
                raise _End("broken")
            container: list[Value] | Object = Object() if first == b"{" else []
            self._add(container)
            self._open.append(container)
            self._is_first = True
        elif first == b'"':
            self._add(self._read_text())
        elif first in b"-0123456789":
            self._add(self._read_number())
        else:
            self._add(self._read_word())

    def _read_next(self) -> None:
        """What stands behind an opening bracket or a value."""
        is_first, self._is_first = self._is_first, False
        container = self._open[-1]
        sign = self._peek()
        if sign == (b"}" if isinstance(container, Object) else b"]"):
            self._at += 1
            self._open.pop()
            return
        if not is_first:
            if sign != b",":
                raise _End("broken")
            self._at += 1
        if isinstance(container, Object):
            self._read_member()
        else:
            self._read_value()

    def _read_member(self) -> None:
        if self._peek() != b'"':
            raise _End("broken")
        self._keys.append(self._read_text())
        if self._peek() != b":":
            raise _End("broken")
        self._at += 1
        self._read_value()

    def _add(self, value: Value) -> None:
        if not self._open:
            self._root.append(value)
        elif isinstance(container := self._open[-1], Object):
            container.pairs.append((self._keys.pop(), value))
        else:
            container.append(value)

    def _peek(self) -> bytes:
        found = _SPACE.match(self._data, self._at)
        self._at = found.end() if found else self._at
        if self._at >= len(self._data):
            raise _End("cut")
        return self._data[self._at : self._at + 1]

    def _read_text(self) -> str:
        found = _TEXT.match(self._data, self._at)
        if found is None:
            raise _End("cut" if _OPEN_TEXT.match(self._data, self._at) else "broken")
        self._at = found.end()
        return _unescaped(found[1].decode("utf-8", "sockwarden.go"))

    def _read_number(self) -> int | float:
        found = _NUMBER.match(self._data, self._at)
        end = found.end() if found else self._at
        if found is None or self._data[end : end + 1] in (b".", b"e", b"E") or (self._open and end == len(self._data)):
            raise _End("cut" if _OPEN_NUMBER.match(self._data, self._at) else "broken")
        self._at = found.end()
        digits = found[0]
        return int(digits) if len(digits) <= _MOST_DIGITS and not (found[1] or found[2]) else float(digits)

    def _read_word(self) -> bool | None:
        for word, value in _WORDS:
            if self._data.startswith(word, self._at):
                self._at += len(word)
                return value
        rest = self._data[self._at : self._at + len(b"false")]
        raise _End("cut" if any(word.startswith(rest) for word, _ in _WORDS) else "broken")


def _unescaped(text: str) -> str:
    """A pair of escaped surrogates is one character, a lone one is U+FFFD."""
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2]), text)
    return _SURROGATES.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    pair = found[0]
    if len(pair) == 1:
        return "\ufffd"
    return chr(0x10000 + ((ord(pair[0]) - 0xD800) << 10) + (ord(pair[1]) - 0xDC00))


def as_fields(value: Object) -> dict[str, Any]:
    """An object as a dictionary in which a key that came again is what Go makes of it, whatever types it reads it into.
    What lies deeper than anything that a runtime reads is None.
    """
    return _as_fields(value, 0)


def as_object(fields: dict[str, Any]) -> Object:
    """A decoded message as an object; what is of no type of JSON, or too deep, is None in it."""
    return _as_object(fields, 0)


def _as_fields(value: Object, depth: int) -> dict[str, Any]:
    by_name: dict[str, list[tuple[str, Value]]] = {}
    for name, one in value.pairs:
        by_name.setdefault(name, []).append((name, one))
    return {name: _as_plain(_together(name, pairs), depth + 1) for name, pairs in by_name.items()}


def _together(name: str, pairs: list[tuple[str, Value]]) -> Value:
    """What a key is given at last, by the type of that."""
    last = next((one for _, one in reversed(pairs) if one is not None), None)
    if len(pairs) == 1 or not isinstance(last, (list, Object)):
        return last
    return Object(pairs).struct(name) if isinstance(last, Object) else Object(pairs).elements(name)


def _as_plain(value: Value, depth: int) -> Any:
    if depth > _MOST_PLAIN and isinstance(value, (list, Object)):
        return None
    if isinstance(value, list):
        return [_as_plain(one, depth + 1) for one in value]
    return _as_fields(value, depth) if isinstance(value, Object) else value


def _as_object(fields: dict[str, Any], depth: int) -> Object:
    return Object([(name, _as_value(value, depth + 1)) for name, value in fields.items()])


def _as_value(value: Any, depth: int) -> Value:
    if depth > _MOST_PLAIN and isinstance(value, (list, dict)):
        return None
    if isinstance(value, dict):
        return _as_object(value, depth)
    if isinstance(value, list):
        return [_as_value(one, depth + 1) for one in value]
    return value if isinstance(value, (str, int, float)) else None
