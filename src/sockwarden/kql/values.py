"""Whether one value of a document is what a literal asks for, judged by the type of its field.

Where the type is not known, the value's own decides, as in an index that maps what it meets: a text is compared as a
keyword (exact, case-sensitive), a number by its numeric value, a boolean with `true` and `false`. What a type cannot
hold is never equal to anything: Elasticsearch fails such a query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
    if kind in EXACT:
        return lambda value: isinstance(value, str) or as_text(value) is not None
    read = reader_of(kind)
    return lambda value: read(value) is not None


def is_test(literal: Literal, kind: str | None, clock: Clock) -> ValueTest:
    """The test of `field:literal` for a field of this type, None where it is not known."""
    if literal == Constant(None):
        return never  # a null is never indexed
    if isinstance(literal, Wildcard):
        return _word_pattern_test(literal) if kind in WORDS else _pattern_test([literal], kind)
    text = str(literal)
    if is_whole(literal, kind):
        return frozenset({text}).__contains__
    if kind is None:
        return _own_type_test(text)
    if kind in EXACT or kind == "flattened":
        return lambda value: as_text(value) == text
    if kind in WORDS:
        return _words_test(text, phrase=isinstance(literal, Text) and literal.quoted)
    if kind in DATES:
        return _date_test(text, kind, clock)
    if kind == "ip":
        return _ip_test(text)
    return _equal_test(_query_value(text, kind), kind)


def any_of_test(literals: Sequence[Literal], kind: str | None, clock: Clock) -> ValueTest:
    """The test of `field:(a or b …)`, which a value passes that passes the test of any: all plain texts in one look-up,
    all patterns in one test.
    """
    whole: set[str] = set()
    patterns: list[Wildcard] = []
    tests: list[ValueTest] = []
    for literal in literals:
        if is_whole(literal, kind):
            whole.add(str(literal))
        elif isinstance(literal, Wildcard) and kind not in WORDS:
            patterns.append(literal)
        else:
            tests.append(is_test(literal, kind, clock))
    tests.insert(0, _pattern_test(patterns, kind) if patterns else never)
    tests.insert(0, frozenset(whole).__contains__ if whole else never)
    first, *rest = [test for test in tests if test is not never] or [never]
    if not rest:
        return first
    return lambda value: first(value) or any(test(value) for test in rest)


def is_whole(literal: Literal, kind: str | None) -> bool:
    """Whether a value passes the literal's test only where it is this very text."""
    exact = kind is None or kind in EXACT or kind == "flattened"
    return exact and isinstance(literal, Text) and is_untyped(literal.value)


def is_untyped(text: str) -> bool:
    """Whether only a text can be equal to it, never a number or a boolean."""
    return text not in _BOOLEANS and parse_number(text) is None


def _own_type_test(text: str) -> ValueTest:
    number = parse_number(text)
    boolean = _BOOLEANS.get(text)

    def test(value: object) -> bool:
        if isinstance(value, str):
            return value == text
        if isinstance(value, bool):
            return value is boolean
        return isinstance(value, (int, float)) and number is not None and number.beside(value) == value

    return test


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


def _pattern_test(patterns: Sequence[Wildcard], kind: str | None) -> ValueTest:
    """Any of the patterns, in a field that is compared whole."""
    if kind is not None and kind not in EXACT and kind != "flattened":
        return never
    fits = _any_glob([pattern.pieces for pattern in patterns])
    if kind is None:
        return lambda value: isinstance(value, str) and fits(value)
    return lambda value: (shown := value if isinstance(value, str) else as_text(value)) is not None and fits(shown)


def _any_glob(patterns: Sequence[tuple[str, ...]]) -> Callable[[str], bool]:
    """The test for a text that fits any of the patterns; all beginnings and all endings are one test each."""
    endings = tuple(pieces[1] for pieces in patterns if len(pieces) == 2 and not pieces[0])
    beginnings = tuple(pieces[0] for pieces in patterns if len(pieces) == 2 and pieces[0] and not pieces[1])
    others = [glob(pieces) for pieces in patterns if len(pieces) > 2 or all(pieces)]
    if not others:
        return lambda text: text.endswith(endings) or text.startswith(beginnings)
    return lambda text: text.endswith(endings) or text.startswith(beginnings) or any(fits(text) for fits in others)


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
