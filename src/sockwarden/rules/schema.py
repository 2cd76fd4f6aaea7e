"""What a table of a file may hold, and every way in which one differs from that.

Leaves are checked by msgspec, strictly: no value is converted to fit. Problems come one by one, so that a caller who
wants only the first few of a hostile file pays only for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from sockwarden.toml_positions import KeyPath

_SHOWN = 60  # characters of a value or key that a message quotes
_PLURALS = {
    bool: "booleans",
    dict: "tables",
    float: "numbers",
    int: "integers",
    list: "arrays",
    str: "strings",
}
_INT64 = range(-(2**63), 2**63)


class Leaf(msgspec.Struct, frozen=True):
    """A value of a type that msgspec can check; `expected` names it: "an integer from 0 to 100"."""

    type: Any  # what msgspec.convert takes: a type or a typing form, for which Python has no common type
    expected: str


class Array(msgspec.Struct, frozen=True):
    """An array whose elements are all of one kind."""

    of: Leaf | Table
    expected: str
    least: int = 0
    most: int | None = None


class Refused(msgspec.Struct, frozen=True):
    """A key that the format knows and this release cannot honour; `accepted` are the values that ask for nothing."""

    why: str
    accepted: tuple[object, ...] = ([], {}, "")


class Table(msgspec.Struct, frozen=True):
    """A table with a closed set of keys."""

    keys: Mapping[str, Kind]
    required: frozenset[str] = frozenset()
    expected: str = "a table"


Kind = Leaf | Array | Table | Refused


class Problem(msgspec.Struct, frozen=True):
    """One way in which a file differs from its format. `path` is in the file: for a missing key, its table's."""

    path: KeyPath
    message: str


def check(value: object, kind: Kind, path: KeyPath = ()) -> Iterator[Problem]:
    """Every way in which a value, as tomllib gives it, is not of a kind, lazily."""
    match kind:
        case Leaf():
            yield from _check_leaf(value, kind, path)
        case Refused():
            if not any(type(value) is type(fine) and value == fine for fine in kind.accepted):
                yield Problem(path, f"{_place(path)} is refused: {kind.why}")
        case Array():
            if not isinstance(value, list) or not kind.least <= len(value) <= (
                len(value) if kind.most is None else kind.most
            ):
                yield _mismatch(value, kind.expected, path)
                return
            for index, element in enumerate(value):
                yield from check(element, kind.of, (*path, index))
        case Table():
            if not isinstance(value, dict):
                yield _mismatch(value, kind.expected, path)
                return
            yield from _check_keys(value, kind, path)


def wide_integers(value: object, path: KeyPath = ()) -> Iterator[Problem]:
    """Integers beyond 64 bits, which TOML excludes, tomllib lets through and JSON writers refuse."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from wide_integers(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from wide_integers(child, (*path, index))
    elif isinstance(value, int) and value not in _INT64:
        yield Problem(path, f"{_place(path)}: an integer must fit 64 bits")


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean …?` with the nearest known word, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - every start would pay for what an error needs

    close = get_close_matches(word[:_SHOWN], known, n=1)
    return f": did you mean `{close[0]}`?" if close else ""


def shorten(text: str) -> str:
    """A text as a message quotes it: on one line, what does not print escaped, long ones cut."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_SHOWN])
    return shown + "…" if len(text) > _SHOWN else shown


def _check_leaf(value: object, leaf: Leaf, path: KeyPath) -> Iterator[Problem]:
    try:
        msgspec.convert(value, leaf.type)
    except msgspec.ValidationError:
        choices = get_args(leaf.type) if get_origin(leaf.type) is Literal else ()
        hint = nearest(value, choices) if isinstance(value, str) else ""
        yield _mismatch(value, leaf.expected, path, hint)


def _check_keys(table: dict[str, object], kind: Table, path: KeyPath) -> Iterator[Problem]:
    header = f" in {_header(path)}" if path else ""
    for key in sorted(kind.required - table.keys()):
        yield Problem(path, f"missing key `{key}`{header}")
    for key, value in table.items():
        if key in kind.keys:
            yield from check(value, kind.keys[key], (*path, key))
        else:
            yield Problem((*path, key), f"unknown key `{shorten(key)}`{header}{nearest(key, kind.keys)}")


def _mismatch(value: object, expected: str, path: KeyPath, hint: str = "") -> Problem:
    return Problem(path, f"{_place(path)}: expected {expected}, found {_describe(value)}{hint}")


def _place(path: KeyPath) -> str:
    """`severity` in [rule]; an array's element as `tags[2]`."""
    keys = [index for index, part in enumerate(path) if isinstance(part, str)]
    last = keys[-1]
    name = shorten(str(path[last])) + "".join(f"[{part}]" for part in path[last + 1 :])
    return f"`{name}` in {_header(path[:last])}" if last else f"`{name}`"


def _header(path: KeyPath) -> str:
    return f"[{shorten('.'.join(part for part in path if isinstance(part, str)))}]"


def _describe(value: object) -> str:
    match value:
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the string "{shorten(value)}"'
        case []:
            return "an empty array"
        case list():
            return f"an array of {' and '.join(sorted({_PLURALS.get(type(item), 'dates') for item in value}))}"
        case dict():
            return "a table"
    return f"the date or time {value}"
