"""Whether one value of a document is what a literal asks for, judged by the type of its field.

Where the type is not known, the value's own decides, as in an index that maps what it meets: a text is compared as a
keyword (exact, case-sensitive), a number by its numeric value, a boolean with `true` and `false`. What a type cannot
hold is never equal to anything: Elasticsearch fails such a query.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable

from sockwarden.kql.dates import Clock, parse_bound
from sockwarden.kql.indexed import as_address, as_text, in_precision, reader_of
from sockwarden.kql.kinds import DATES, EXACT, FLOATS, INTEGERS, WORDS
from sockwarden.kql.scalars import address_number, network_bounds, parse_network, parse_number
from sockwarden.kql.tree import Constant, Literal, Text, Wildcard
from sockwarden.kql.words import lowered, word_set, words_of

ValueTest = Callable[[object], bool]

_BOOLEANS = {"true": True, "false": False}
_SPACE = re.compile(r"[ \t\r\n]+")


def never(value: object) -> bool:  # noqa: ARG001 - a test takes the value, whatever it is
    """The test that no value passes."""
    return False


def has_value(kind: str | None) -> ValueTest:
    """The test of `field:*`: whether an index holds anything of the value."""
    if kind is None:
        return lambda _: True
    read = reader_of(kind)
    return lambda value: read(value) is not None


def is_test(literal: Literal, kind: str | None, clock: Clock) -> ValueTest:
    """The test of `field:literal` for a field of this type, None where it is not known."""
    if literal == Constant(None):
        return never  # a null is never indexed
    if isinstance(literal, Wildcard):
        return _pattern_test(literal, kind)
    text = str(literal)
    if kind is None:
        return _own_type_test(text)
    if kind in EXACT or kind == "flattened":
        return _exact_test(text)
    if kind in WORDS:
        return _words_test(text, phrase=isinstance(literal, Text) and literal.quoted)
    if kind in DATES:
        return _date_test(text, kind, clock)
    if kind == "ip":
        return _ip_test(text)
    return _equal_test(_query_value(text, kind), kind)


def is_untyped(text: str) -> bool:
    """Whether only a text can be equal to it, never a number or a boolean."""
    return text not in _BOOLEANS and parse_number(text) is None


def _own_type_test(text: str) -> ValueTest:
    if is_untyped(text):
        return functools.partial(operator.eq, text)
    number = parse_number(text)
    boolean = _BOOLEANS.get(text)

    def test(value: object) -> bool:
        if isinstance(value, str):
            return value == text
        if isinstance(value, bool):
            return value is boolean
        return isinstance(value, (int, float)) and number is not None and number.beside(value) == value

    return test


def _exact_test(text: str) -> ValueTest:
    if is_untyped(text):
        return functools.partial(operator.eq, text)
    return lambda value: as_text(value) == text


def _words_test(text: str, *, phrase: bool) -> ValueTest:
    """Any of the words; of a phrase all of them, in order and beside each other."""
    wanted = words_of(text)
    any_of = frozenset(wanted)

    def test(value: object) -> bool:
        shown = as_text(value)
        if shown is None or not wanted:
            return False
        if not phrase:
            return not any_of.isdisjoint(word_set(shown))
        if not any_of <= word_set(shown):
            return False
        words = words_of(shown)
        return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))

    return test


def _date_test(text: str, kind: str, clock: Clock) -> ValueTest:
    """A date without a time is a whole day, `now/d` today: the moments that it may be rounded to."""
    first, last = (parse_bound(text, clock, round_up=up, dates=True) for up in (False, True))
    if first is None or last is None:
        return never
    read = reader_of(kind)

    def test(value: object) -> bool:
        instant = read(value)
        return isinstance(instant, int) and (read_bound(first(), kind) <= instant <= last())

    return test


def read_bound(instant: int, kind: str) -> int:
    """A query's instant in the resolution of a type: nanoseconds, of `date` whole milliseconds."""
    return instant if kind == "date_nanos" else instant - instant % 1_000_000


def _ip_test(text: str) -> ValueTest:
    network = parse_network(text)
    if network is None:
        return never
    first, last = network_bounds(network)

    def test(value: object) -> bool:
        address = as_address(value)
        return address is not None and first <= address_number(address) <= last

    return test


def _equal_test(wanted: object, kind: str) -> ValueTest:
    if wanted is None:
        return never
    read = reader_of(kind)
    return lambda value: read(value) == wanted


def _query_value(text: str, kind: str) -> object:
    """What a query's text is to a type; None where it is nothing."""
    number = parse_number(text)
    if kind in INTEGERS:
        return None if number is None else number.exact
    if kind in FLOATS:
        return None if number is None else in_precision(FLOATS[kind], number.double)
    return _BOOLEANS.get(text) if kind == "boolean" else None


def _pattern_test(pattern: Wildcard, kind: str | None) -> ValueTest:
    if kind in WORDS:
        return _word_pattern_test(pattern)
    fits = glob(pattern.pieces)
    if kind is None:
        return lambda value: isinstance(value, str) and fits(value)
    if kind not in EXACT and kind != "flattened":
        return never
    return lambda value: (shown := as_text(value)) is not None and fits(shown)


def _word_pattern_test(pattern: Wildcard) -> ValueTest:
    """Any of the words and patterns between its spaces; a pattern is for a single word."""
    parts: list[list[str]] = [[""]]
    for number, piece in enumerate(pattern.pieces):
        first, *others = _SPACE.split(lowered(piece))
        if number:
            parts[-1].append(first)
        else:
            parts[-1][-1] = first
        parts += ([other] for other in others)
    globs = [glob(tuple(part)) for part in parts if len(part) > 1]
    plain = frozenset(word for part in parts if len(part) == 1 for word in words_of(part[0]))

    def test(value: object) -> bool:
        shown = as_text(value)
        words = frozenset[str]() if shown is None else word_set(shown)
        return any(word in plain or any(fits(word) for fits in globs) for word in words)

    return test


def glob(pieces: tuple[str, ...]) -> Callable[[str], bool]:
    """The test for a text that consists of the pieces in order with anything between them; never backtracks."""
    first, *middle, last = pieces
    shortest = sum(map(len, pieces))

    def fits(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for piece in middle:
            found = text.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return fits
