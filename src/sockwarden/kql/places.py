"""Where the leaves of a query stand in its text."""

from __future__ import annotations

import msgspec

from sockwarden.kql.scanner import AND, COMPARISON, NOT, OR, SPACE, scan_literal
from sockwarden.kql.syntax import parse
from sockwarden.kql.tree import NO_FIELD, Literal


class Place(msgspec.Struct, frozen=True):
    """A leaf: its field and value, the path before it where it is within `path:{…}` (`a.b.`), and the characters at
    which both begin. Of a value without a field both are the value's.
    """

    field: Literal
    value: Literal
    prefix: str
    field_offset: int
    value_offset: int

    @property
    def name(self) -> str:
        """The field's whole name; empty without one."""
        return "" if self.field == NO_FIELD else f"{self.prefix}{self.field}"


class _Bracket(msgspec.Struct, frozen=True):
    field: Literal | None
    field_offset: int
    prefix: str


def places(query: str) -> tuple[Place, ...]:
    """Every leaf in the order of the text, which is that of the tree. Raises KqlSyntaxError."""
    parse(query)
    found: list[Place] = []
    brackets = [_Bracket(None, 0, "")]
    position = 0
    while position < len(query):
        here = brackets[-1]
        match = OR.match(query, position) or AND.match(query, position) or NOT.match(query, position)
        match = match or SPACE.match(query, position)
        if match and match[0]:
            position = match.end()
        elif query[position] == "(":
            brackets.append(here)
            position += 1
        elif query[position] in ")}":
            brackets.pop()
            position += 1
        elif scanned := scan_literal(query, position):
            position = _term(query, position, scanned[0], scanned[1], brackets, found)
        else:
            position += 1
    return tuple(found)


def _term(query: str, start: int, literal: Literal, end: int, brackets: list[_Bracket], found: list[Place]) -> int:
    """What begins with a literal; its end, or that of the bracket that it opens."""
    here = brackets[-1]
    if here.field is not None:
        found.append(Place(here.field, literal, here.prefix, here.field_offset, start))
        return end
    operator = _after_space(query, end)
    match = COMPARISON.match(query, operator)
    if not match and not query.startswith(":", operator):
        found.append(Place(NO_FIELD, literal, here.prefix, start, start))
        return end
    value = _after_space(query, match.end() if match else operator + 1)
    if query.startswith("{", value):
        brackets.append(_Bracket(None, 0, f"{here.prefix}{literal}."))
        return value + 1
    if query.startswith("(", value):
        brackets.append(_Bracket(literal, start, here.prefix))
        return value + 1
    scanned = scan_literal(query, value)
    if scanned is None:
        raise AssertionError(query)  # it parses, so a value is here
    found.append(Place(literal, scanned[0], here.prefix, start, value))
    return scanned[1]


def _after_space(query: str, position: int) -> int:
    match = SPACE.match(query, position)
    return match.end() if match else position
