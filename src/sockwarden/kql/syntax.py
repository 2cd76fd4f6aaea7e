"""The way in: a query's tree, or an error that says where it stopped and what to write instead."""

from __future__ import annotations

from sockwarden.errors import QueryError
from sockwarden.kql import caret
from sockwarden.kql.parser import MAX_DEPTH, ParseFailure, read
from sockwarden.kql.scanner import KEYWORD, WORD
from sockwarden.kql.tree import Node


class KqlSyntaxError(QueryError):
    """A query that is not KQL.

    query       as given
    offset      character, from 0, where Kibana's parser reports the error
    expected    what would have fitted there, in a user's terms; empty when brackets are nested too deep
    suggestion  a query that parses and is probably what was meant, or None

    `why` holds the line and a caret under the place; it and `todo` are safe to print on a terminal.
    """

    def __init__(self, query: str, offset: int, expected: tuple[str, ...], suggestion: str | None) -> None:
        line, column = caret.line_and_column(query, offset)
        super().__init__(
            f"the query is not KQL: it stops making sense at line {line}, column {column}",
            why=f"{_reason(query, offset, expected)}\n{_indented(caret.point_at(query, offset))}",
            todo="" if suggestion is None else _todo(query, suggestion),
        )
        self.query = query
        self.offset = offset
        self.expected = expected
        self.suggestion = suggestion


def parse(query: str) -> Node:
    """The tree of a KQL query, as Kibana 9 parses it; raises KqlSyntaxError."""
    try:
        return read(query)
    except ParseFailure as failure:
        from sockwarden.kql.hints import suggest  # noqa: PLC0415 - most queries parse

        raise KqlSyntaxError(query, failure.offset, failure.expected, suggest(query, failure)) from None


_SPECIAL = {'"': "a quote", "\\": "a backslash that escapes nothing"}
_SHOWN_AS_SPACE = dict.fromkeys(map(ord, "\t\r\n\xa0"), " ")


def _reason(query: str, offset: int, expected: tuple[str, ...]) -> str:
    if not expected:
        return f"brackets are nested more than {MAX_DEPTH} deep"
    if keyword := KEYWORD.match(query, offset):
        found = f'the keyword "{keyword[0]}"'
    elif offset == len(query):
        found = "the end of the query"
    else:
        word = WORD.match(query, offset)
        found = f'"{caret.escape(word[0])}"' if word else _SPECIAL.get(query[offset], f'"{query[offset]}"')
    *others, last = expected
    wanted = f"{', '.join(others)} or {last}" if others else last
    return f"expected {wanted}, found {found}"


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.split("\n"))


def _todo(query: str, suggestion: str) -> str:
    """Nothing where the suggestion holds characters that a terminal cannot show as they are."""
    if not suggestion.translate(_SHOWN_AS_SPACE).isprintable():
        return ""
    if len(suggestion) <= caret.WIDTH and "\n" not in suggestion:
        return f"Write: {caret.escape(suggestion)}"
    changed = next((i for i, (a, b) in enumerate(zip(query, suggestion, strict=False)) if a != b), len(query))
    return f"Write there: {caret.excerpt(suggestion, min(changed, len(suggestion)))}"
