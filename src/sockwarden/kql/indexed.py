"""A value of a document as an index holds it, by the type of its field.

Each function takes what JSON gives and returns what is compared, or None for what the type cannot hold. Elasticsearch
would refuse a document with such a value; here only the value does not count. Nor does a length: an index may leave
texts out that are longer than a keyword's `ignore_above`, and an attacker would choose them so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from sockwarden.kql.dates import parse_date
from sockwarden.kql.kinds import DATES, EXACT, FLOATS, INTEGERS, WORDS
from sockwarden.kql.scalars import parse_address, parse_number

Reader = Callable[[object], object]
_MILLISECOND = 1_000_000
_BOOLEANS = {"true": True, "false": False, "": False}


def reader_of(kind: str) -> Reader:
    """What reads the values of a field of this type."""
    if kind in EXACT or kind in WORDS or kind == "flattened":
        return as_text
    if kind in INTEGERS:
        return partial(as_integer, *INTEGERS[kind])
    if kind in FLOATS:
        return partial(as_float, FLOATS[kind])
    if kind in DATES:
        return partial(as_instant, _MILLISECOND if kind == "date" else 1)
    return {"boolean": as_boolean, "ip": as_address}.get(kind, _as_it_is)


def as_text(value: object) -> str | None:
    """A text, or a number or boolean as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def as_integer(least: int, most: int, value: object) -> int | None:
    """A whole number; what follows a decimal point is cut off."""
    exact = _number(value)
    if exact is None or not least - 1 < exact < most + 1:
        return None
    return int(exact)


def as_float(precision: str, value: object) -> float | None:
    """A number in the precision of a format of `struct`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        number = parse_number(value)
        value = None if number is None else number.double
    return in_precision(precision, float(value)) if isinstance(value, int | float) and abs(value) < 1 << 1023 else None


def in_precision(precision: str, number: float) -> float | None:
    """The nearest number that the format holds; None where it holds none so large."""
    try:
        rounded: float = struct.unpack(precision, struct.pack(precision, number))[0]
    except (OverflowError, struct.error):
        return None
    return rounded


def as_boolean(value: object) -> bool | None:
    """A boolean; a text may say it, and an empty one says false."""
    return value if isinstance(value, bool) else _BOOLEANS.get(value) if isinstance(value, str) else None


def as_address(value: object) -> IPv4Address | IPv6Address | None:
    """An address."""
    return parse_address(value) if isinstance(value, str) else None


def as_instant(resolution: int, value: object) -> int | None:
    """A date in nanoseconds since 1970, cut to a resolution in nanoseconds."""
    instant = parse_date(value)
    return None if instant is None else instant - instant % resolution


def _as_it_is(value: object) -> object:
    return value


def _number(value: object) -> Decimal | None:
    if isinstance(value, str):
        number = parse_number(value)
        return None if number is None else number.exact
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        return None
    return Decimal(value)
