"""Values that a leaf of a query holds for, and values that it only just does not.

What is right is decided here from what the leaf says, not by the evaluator, which is what the values are to try.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network

from sockwarden.kql import Constant, Is, Literal, Range, Text, Wildcard
from sockwarden.kql.kinds import DATES, EXACT, INTEGERS, NUMBERS, WORDS

Value = str | int | float | bool

_PAST, _FUTURE = "1970-01-02T00:00:00.000Z", "2190-01-01T00:00:00.000Z"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z", re.ASCII)
_BOUND = re.compile(r"now(?:[+-]\d{1,3}[smhdwMy])?|\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?", re.ASCII)
_FILLERS = ("x", "a/b c", "é\n.", "")
_PLAIN: dict[str, tuple[Value, ...]] = {
    "boolean": (True, False),
    "ip": ("192.0.2.1", "2001:db8::1"),
    **dict.fromkeys(DATES, ("2026-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z")),
    **dict.fromkeys(NUMBERS, (1, 2, 3)),
}


def holding(leaf: Is | Range, kind: str | None) -> Iterator[Value]:
    """Values of a field of the type for which the leaf holds, the plainest first; none where none is known."""
    if isinstance(leaf, Range):
        yield from _in_range(leaf, kind, inside=True)
        return
    match leaf.value:
        case Wildcard() as pattern if pattern.is_lone:
            yield from _PLAIN.get(kind or "", ("value", "another", "a third"))
        case Wildcard(pieces) if kind in WORDS or kind is None or kind not in _PLAIN:
            yield from (filler.join(pieces) for filler in _FILLERS)
        case Constant(bool(value)):
            if kind in (None, "boolean"):
                yield value
            elif kind in EXACT:
                yield str(value).lower()
        case Text(text):
            yield from _equal(text, kind)


def _equal(text: str, kind: str | None) -> Iterator[Value]:
    if kind in NUMBERS:
        yield from _numbers([_number(text)], kind)
    elif kind == "boolean":
        if text in ("true", "false"):
            yield text == "true"
    elif kind == "ip":
        network = _network(text)
        if network is not None:
            yield str(network.broadcast_address)
            yield str(network.network_address)
    elif kind in DATES:
        if _INSTANT.fullmatch(text):
            yield text
    elif kind not in WORDS or re.search(r"\w", text):
        yield text


def _numbers(numbers: Iterable[Decimal | None], kind: str | None) -> Iterator[Value]:
    """Those that a field of the type can hold."""
    for number in numbers:
        if number is None:
            continue
        if number == number.to_integral_value():
            least, most = INTEGERS.get(kind or "", (number, number))
            if least <= number <= most:
                yield int(number)
        elif kind not in INTEGERS:
            yield float(number)


def missing_by_little(leaf: Is | Range, kind: str | None) -> Iterator[tuple[str, Value]]:
    """Values for which the leaf does not hold, each with what was changed. The caller
    asks `fits` of them."""
    if isinstance(leaf, Range):
        yield from (("just outside", value) for value in _in_range(leaf, kind, inside=False))
    elif kind in NUMBERS or kind == "boolean":
        for value in holding(leaf, kind):
            if isinstance(value, bool):
                yield "the other value", not value
            elif not isinstance(value, str):
                yield "another number", value + 1
    elif kind == "ip":
        yield "another address", "198.51.100.7"
    elif kind in WORDS:
        yield "other words", "zzqx yyqx"
    elif kind not in DATES:
        whole = next(iter(holding(leaf, kind)), None)
        if isinstance(whole, str):
            yield "case changed", whole.swapcase()
            yield "a character more at the end", f"{whole}x"
            yield "a character more at the start", f"x{whole}"
            yield "the last character less", whole[:-1]
            yield "deleted file", f"{whole} (deleted)"
            yield "empty", ""


def fits(leaf: Is | Range, kind: str | None, value: Value) -> bool | None:
    """Whether the leaf holds for the value; None where that cannot be told simply."""
    if isinstance(leaf, Range):
        return _is_in_range(leaf, kind, value)
    match leaf.value:
        case Wildcard() as pattern if pattern.is_lone:
            return True
        case Wildcard(pieces):
            if kind in WORDS or not isinstance(value, str):
                return None
            return _consists_of(value, pieces)
        case Constant(None):
            return False
        case literal:
            return _is_equal(literal, kind, value)


def _consists_of(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether the text is the pieces in their order with anything between them. Not the evaluator's, on purpose."""
    first, *rest = pieces
    if not text.startswith(first):
        return False
    text = text[len(first) :]
    for piece in rest[:-1]:
        _, found, text = text.partition(piece) if piece else ("", "*", text)
        if not found:
            return False
    return text.endswith(rest[-1])


def _is_equal(literal: Literal, kind: str | None, value: Value) -> bool | None:
    text = str(literal)
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        number = _number(text)
        return number is not None and number == Decimal(str(value))
    if kind == "ip":
        return _is_inside(value, text)
    if kind in WORDS:
        asked = set(re.findall(r"\w+", text.casefold()))
        return True if value == text else False if asked.isdisjoint(re.findall(r"\w+", value.casefold())) else None
    return value == text or (None if kind in DATES else False)


def _is_in_range(leaf: Range, kind: str | None, value: Value) -> bool | None:
    if value in set(_in_range(leaf, kind, inside=True)):
        return True
    return False if value in set(_in_range(leaf, kind, inside=False)) else None


def _in_range(leaf: Range, kind: str | None, *, inside: bool) -> Iterator[Value]:
    """Values at the bound and beside it, on the wanted side."""
    text, operator = str(leaf.value), leaf.operator
    if leaf.value == Constant(None):
        return  # a null is no bound, so any value will do
    upward, inclusive = operator.startswith("g"), operator.endswith("e")
    number = _number(text)
    if kind in DATES or (kind is None and _BOUND.fullmatch(text)):
        if _BOUND.fullmatch(text):
            yield _FUTURE if upward == inside else _PAST
    elif kind == "ip":
        address = _network(text)
        if address is not None and "/" not in text and inclusive == inside:
            yield text
    elif number is not None and (kind in NUMBERS or kind is None):
        step = Decimal(1) if number == number.to_integral_value() else Decimal("0.5")
        beside = number + (step if upward == inside else -step)
        yield from _numbers((number, beside) if inclusive == inside else (beside,), kind)
    elif kind is None or kind in EXACT:
        if inclusive == inside:
            yield text
        if upward == inside:
            yield f"{text}0"
        elif text:
            yield text[:-1]


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal(10) ** 15 else None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_inside(value: str, text: str) -> bool | None:
    """None for an address of the other version, which an index may take for a mapped one."""
    address, network = _network(value), _network(text)
    if address is None or network is None:
        return False
    if address.version != network.version:
        return None
    return network.network_address <= address.network_address <= network.broadcast_address  # type: ignore[operator]
