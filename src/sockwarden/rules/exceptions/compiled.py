"""An entry as a test of documents, and as KQL where KQL can say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from sockwarden.document import Document
from sockwarden.kql import ECS, And, Is, Node, Not, Or, Text, Wildcard, compile_query
from sockwarden.kql import Nested as NestedNode
from sockwarden.kql.fields import any_value, kind_of
from sockwarden.kql.indexed import as_text
from sockwarden.kql.kinds import EXACT, WORDS
from sockwarden.kql.values import ValueTest, never
from sockwarden.kql.words import words_of
from sockwarden.rules.exceptions.entries import Entry, Exists, InList, Match, MatchAny, Nested, WildcardMatch
from sockwarden.rules.exceptions.patterns import compile_pattern, pieces_of
from sockwarden.rules.exceptions.values import Contains

_ANYTHING = Wildcard(("", ""))


class Compiled(msgspec.Struct, frozen=True):
    """applies: whether a document meets the entry; query: the same in KQL, None where that cannot say it."""

    applies: Callable[[Document], bool]
    query: Node | None


def compile_entry(entry: Entry, lists: Mapping[tuple[str, str], Contains]) -> Compiled:
    """The entry over documents with ECS types. lists: the value lists by id and type; KeyError without one."""
    if isinstance(entry, InList):
        contains = lists[entry.list_id, entry.list_type]
        return Compiled(_asked(entry.field, entry.operator, lambda _: contains), None)
    query = query_of(entry)
    if query is not None:
        return Compiled(compile_query(query), query)
    assert isinstance(entry, WildcardMatch)  # noqa: S101 - the one entry left that KQL may lack words for
    fits = compile_pattern(entry.pattern)
    return Compiled(_asked(entry.field, entry.operator, lambda kind: _pattern_test(entry.pattern, fits, kind)), None)


def query_of(entry: Entry) -> Node | None:
    """The entry in KQL; None where that cannot say it: value lists, `?`, wildcards over analysed text."""
    match entry:
        case Match(field, value, operator):
            return _signed(Is(Text(field), Text(value, quoted=True)), operator)
        case MatchAny(field, values, operator):
            leaves = tuple(Is(Text(field), Text(value, quoted=True)) for value in values)
            return _signed(leaves[0] if len(leaves) == 1 else Or(leaves), operator)
        case Exists(field, operator):
            return _signed(Is(Text(field), _ANYTHING), operator)
        case WildcardMatch(field, pattern, operator):
            pieces = pieces_of(pattern)
            if pieces is None or kind_of(field, ECS) in WORDS:
                return None
            wanted = Text(pieces[0], quoted=True) if len(pieces) == 1 else Wildcard(pieces)
            return _signed(Is(Text(field), wanted), operator)
        case Nested(field, entries):
            children = tuple(child for child in map(query_of, entries) if child is not None)
            return NestedNode(Text(field), children[0] if len(children) == 1 else And(children))
    return None


def _signed(node: Node, operator: str) -> Node:
    return node if operator == "included" else Not(node)


def _asked(field: str, operator: str, test_of: Callable[[str | None], ValueTest]) -> Callable[[Document], bool]:
    """As an index is asked: a document without the field meets what is excluded."""
    has = any_value(Text(field), test_of, ECS, "")
    return has if operator == "included" else lambda document: not has(document)


def _pattern_test(pattern: str, fits: Callable[[str], bool], kind: str | None) -> ValueTest:
    if kind in WORDS:
        in_words = compile_pattern(pattern.lower())
        return lambda value: (shown := as_text(value)) is not None and any(map(in_words, words_of(shown)))
    if kind is None:
        return lambda value: isinstance(value, str) and fits(value)
    if kind in EXACT or kind == "flattened":
        return lambda value: (shown := as_text(value)) is not None and fits(shown)
    return never
