"""Values as TOML 1.0 text that a person likes to read: long texts as they are, tables under headers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 24
"""Tables and arrays within each other; what is read here may nest a little deeper (`toml_positions`)."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_TO_ESCAPE = re.compile(r'[\x00-\x1f"\\\x7f-\x9f\u2028\u2029\ufeff]')
_NOT_LITERAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_INT64 = range(-(2**63), 2**63)


class UnwritableError(ValueError):
    """A value that TOML cannot hold: null, half of a surrogate pair, infinity, a whole number beyond 64 bits, or too
    deep a nesting.
    """


def to_toml(document: Mapping[str, Any]) -> str:
    """The text of a document of strings, numbers, booleans, arrays and tables: `tomllib.loads` gives it back.

    UnwritableError for other values.
    """
    return "\n".join(_table(document, (), 0)).lstrip("\n") + "\n" if document else ""


def refusal_of(value: object, depth: int = 0) -> str:
    """Why TOML cannot hold a value; empty where it can."""
    try:
        _inline(value, depth)
    except UnwritableError as error:
        return str(error)
    return ""


def _table(table: Mapping[str, Any], path: tuple[str, ...], depth: int) -> Iterator[str]:
    below: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) or _holds_tables(value):
            below.append((key, value))
        else:
            yield f"{_key(key)} = {_value(value, depth)}"
    for key, value in below:
        if depth >= MAX_DEPTH:
            raise UnwritableError(f"nested deeper than {MAX_DEPTH} levels")
        place = (*path, key)
        header = ".".join(map(_key, place))
        for one in [value] if isinstance(value, dict) else value:
            yield f"\n[{header}]" if isinstance(value, dict) else f"\n[[{header}]]"
            yield from _table(one, place, depth + 1)


def _holds_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _basic(key)


def _value(value: object, depth: int) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        line = _inline(value, depth)
        if len(line) > _WIDTH and len(value) > 1:
            return "[\n" + "".join(f"  {_inline(one, depth + 1)},\n" for one in value) + "]"
        return line
    return _inline(value, depth)


def _inline(value: object, depth: int) -> str:
    """A value on one line."""
    if depth > MAX_DEPTH:
        raise UnwritableError(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _short(value)
        case int():
            if value not in _INT64:
                raise UnwritableError("a whole number beyond 64 bits")
            return str(value)
        case float():
            if not math.isfinite(value):
                raise UnwritableError("infinity or no number")
            return repr(value)
        case Mapping():
            inside = ", ".join(f"{_key(key)} = {_inline(child, depth + 1)}" for key, child in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case Sequence():
            return f"[{', '.join(_inline(one, depth + 1) for one in value)}]"
    raise UnwritableError("null" if value is None else f"a {type(value).__name__}")


def _string(text: str) -> str:
    """Of several lines as they are, where TOML has a form for that."""
    if "\n" in text and "'''" not in text and not text.endswith("'") and not _NOT_LITERAL.search(text):
        _checked(text)
        return f"'''\n{text}'''"
    return _short(text)


def _short(text: str) -> str:
    if ('"' in text or "\\" in text) and "'" not in text and "\n" not in text and not _NOT_LITERAL.search(text):
        return f"'{_checked(text)}'"
    return _basic(text)


def _basic(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(_escaped, _checked(text)) + '"'


def _escaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"


def _checked(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise UnwritableError("half of a surrogate pair")
    return text
