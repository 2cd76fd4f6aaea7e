"""Whether one value of a document lies in a range, by the type of its field: numbers by value, dates by instant,
addresses by number, texts by their characters (code points, which is the order of Elasticsearch's keywords).

Where the type is not known, the value's own decides; a text that is a date is one beside a date.
"""

from __future__ import annotations

import operator as comparison
from collections.abc import Callable
from typing import Any

from sockwarden.kql.dates import Clock, parse_bound, parse_instant
from sockwarden.kql.indexed import as_address, as_text, in_precision, reader_of
from sockwarden.kql.kinds import DATES, EXACT, FLOATS, INTEGERS, LIMITS, WORDS
from sockwarden.kql.scalars import address_number, parse_address, parse_number
from sockwarden.kql.tree import Constant, Literal, Operator
from sockwarden.kql.values import ValueTest, has_value, never, read_bound
from sockwarden.kql.words import words_of

# Any: the two sides are of one kind, whichever it is; typeshed has no name for what compares with itself.
_Holds = Callable[[Any, Any], bool]
_COMPARISONS: dict[Operator, _Holds] = {
    "lt": comparison.lt,
    "lte": comparison.le,
    "gt": comparison.gt,
    "gte": comparison.ge,
}


def range_test(operator: Operator, literal: Literal, kind: str | None, clock: Clock) -> ValueTest:
    """The test of `field < literal` and its kin for a field of this type, None where it is not known."""
    if literal == Constant(None):
        return has_value(kind)  # Elasticsearch takes a null bound for no bound
    text = str(literal)
    holds = _COMPARISONS[operator]
    if kind is None:
        return _own_type_test(operator, text, clock)
    if kind in EXACT:
        return lambda value: (shown := as_text(value)) is not None and holds(shown, text)
    if kind in WORDS:
        return lambda value: (
            (shown := as_text(value)) is not None and any(holds(word, text) for word in words_of(shown))
        )
    if kind in DATES:
        return _date_test(operator, text, kind, clock)
    if kind == "ip":
        return _ip_test(holds, text)
    return _number_test(holds, text, kind)


def _own_type_test(operator: Operator, text: str, clock: Clock) -> ValueTest:
    holds = _COMPARISONS[operator]
    number = parse_number(text)
    instant = parse_bound(text, clock, round_up=operator in ("gt", "lte"))

    def test(value: object) -> bool:
        if isinstance(value, str):
            if instant is not None and (moment := parse_instant(value)) is not None:
                return holds(moment, instant())
            return holds(value, text)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return number is not None and holds(value, number.beside(value))

    return test


def _date_test(operator: Operator, text: str, kind: str, clock: Clock) -> ValueTest:
    holds = _COMPARISONS[operator]
    instant = parse_bound(text, clock, round_up=operator in ("gt", "lte"), dates=True)
    if instant is None:
        return never
    read = reader_of(kind)
    return lambda value: (moment := read(value)) is not None and holds(moment, read_bound(instant(), kind))


def _ip_test(holds: _Holds, text: str) -> ValueTest:
    address = parse_address(text)
    if address is None:
        return never
    bound = address_number(address)
    return lambda value: (other := as_address(value)) is not None and holds(address_number(other), bound)


def _number_test(holds: _Holds, text: str, kind: str) -> ValueTest:
    """Numbers, and booleans, false before true; a bound that the type cannot hold bounds nothing in."""
    number = parse_number(text)
    bound: object = None
    if kind in LIMITS:
        least, most = LIMITS[kind]
        if number is not None and least <= number.exact <= most:
            bound = number.exact if kind in INTEGERS else in_precision(FLOATS[kind], number.double)
    elif kind == "boolean":
        bound = {"true": True, "false": False}.get(text)
    if bound is None:
        return never
    read = reader_of(kind)
    return lambda value: (own := read(value)) is not None and holds(own, bound)
