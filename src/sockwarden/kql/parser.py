"""The grammar of KQL, by recursive descent: Kibana's, without its exponential re-parsing.

Kibana's grammar is a PEG, but no alternative ever rescues a query once a keyword, an operator or a bracket was
taken. So this parser never goes back, and the place where it stops is the furthest place that the PEG reaches,
which is where Kibana reports the error.
"""

from __future__ import annotations

import re
import typing

from sockwarden.kql.scanner import AND, COMPARISON, NOT, OR, SPACE, scan_literal
from sockwarden.kql.tree import MATCH_ALL, NO_FIELD, And, Is, Literal, Nested, Node, Not, Operator, Or, Range

MAX_DEPTH = 100
"""Brackets that may be open at once; each costs stack here and in the evaluator. Kibana has no limit of its own."""

_OPERATORS: dict[str, Operator] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}

_FIELD, _VALUE, _END = "a field name", "a value", "the end of the query"
_FIELDLESS = ('":"', "a comparison")


class ParseFailure(Exception):  # noqa: N818 - not an error that leaves the room: `parse` turns it into one
    """Where the grammar could not go on, and what was being read.

    offset    character at which nothing fits
    expected  what would have fitted, in a user's terms; empty when the brackets are nested too deep
    term      where the last term begins
    value     where its value begins or was to begin, None after a bracket closed
    closers   the brackets that were open, each as what would close it
    in_list   inside `field:(…)`
    """

    def __init__(self, parser: _Parser, expected: tuple[str, ...], *, in_list: bool) -> None:
        super().__init__()
        self.offset, self.expected = parser.position, expected
        self.term, self.value = parser.term_start, parser.value_start
        self.closers, self.in_list = "".join(parser.closers), in_list


def read(query: str) -> Node:
    """The tree of a query; raises ParseFailure."""
    return _Parser(query).whole()


class _Parser:
    def __init__(self, query: str) -> None:
        self.query = query
        self.position = 0
        self.term_start = 0
        self.value_start: int | None = None
        self.closers: list[str] = []
        self.fieldless_end = -1

    def whole(self) -> Node:
        self.take(SPACE)
        if self.position == len(self.query):
            return MATCH_ALL
        node = self.disjunction(None)
        self.take(SPACE)
        if self.position < len(self.query):
            self.fail_after_term(None, _END)
        return node

    def disjunction(self, field: Literal | None) -> Node:
        """Alternatives; within `field:(…)` they are values of that field, else terms."""
        branches = [self.conjunction(field)]
        while self.take(OR):
            branches.append(self.conjunction(field))
        return Or(tuple(branches)) if len(branches) > 1 else branches[0]

    def conjunction(self, field: Literal | None) -> Node:
        terms = [self.term(field)]
        while self.take(AND):
            terms.append(self.term(field))
        return And(tuple(terms)) if len(terms) > 1 else terms[0]

    def term(self, field: Literal | None) -> Node:
        negated = self.take(NOT)
        self.term_start = self.position
        if self.take_character("("):
            term = self.group(field, ")")
        elif field is not None:
            term = Is(field, self.literal(field, _VALUE, '"("', *([] if negated else ['"not"'])))
        else:
            term = self.expression(negated)
        return Not(term) if negated else term

    def expression(self, negated: bool) -> Node:
        literal = self.literal(None, _FIELD, _VALUE, '"("', *([] if negated else ['"not"']))
        end = self.position
        self.take(SPACE)
        if self.take_character(":"):
            self.take(SPACE)
            if self.take_character("{"):
                return Nested(literal, self.group(None, "}"))
            if self.take_character("("):
                return self.group(literal, ")")
            return Is(literal, self.literal(None, _VALUE, '"("', '"{"'))
        if match := COMPARISON.match(self.query, self.position):
            self.position = match.end()
            self.take(SPACE)
            return Range(literal, _OPERATORS[match[0]], self.literal(None, _VALUE))
        self.fieldless_end = self.position
        self.position = end
        return Is(NO_FIELD, literal)

    def group(self, field: Literal | None, closer: str) -> Node:
        if len(self.closers) == MAX_DEPTH:
            self.position -= 1
            self.fail(field)
        self.closers.append(closer)
        self.take(SPACE)
        node = self.disjunction(field)
        self.take(SPACE)
        if not self.take_character(closer):
            self.fail_after_term(field, f'"{closer}"')
        self.closers.pop()
        self.value_start = None
        return node

    def literal(self, field: Literal | None, *expected: str) -> Literal:
        self.value_start = self.position
        scanned = scan_literal(self.query, self.position)
        if scanned is None:
            unclosed = self.query.startswith('"', self.position)
            self.fail(field, *(["a closing quote"] if unclosed else expected))
        literal, self.position = scanned
        return literal

    def take(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.query, self.position)
        if match is None:
            return False
        self.position = match.end()
        return True

    def take_character(self, character: str) -> bool:
        if not self.query.startswith(character, self.position):
            return False
        self.position += 1
        return True

    def fail_after_term(self, field: Literal | None, closer: str) -> typing.NoReturn:
        operators = _FIELDLESS if field is None and self.fieldless_end == self.position else ()
        self.fail(field, *operators, '"and"', '"or"', closer)

    def fail(self, field: Literal | None, *expected: str) -> typing.NoReturn:
        raise ParseFailure(self, expected, in_list=field is not None)
