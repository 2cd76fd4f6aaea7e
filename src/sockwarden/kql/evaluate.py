"""A tree as a function over documents, with what Elasticsearch would answer had it indexed them as ECS.

Field types are not known here: a value's own type decides (see `values`, `ranges`). So `is` compares dates as texts.
"""

from __future__ import annotations

import time

from sockwarden.document import Document
from sockwarden.kql.dates import Clock
from sockwarden.kql.fields import Predicate, any_object, any_value, exists
from sockwarden.kql.ranges import range_test
from sockwarden.kql.tree import MATCH_ALL, NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.values import is_test


def compile_query(node: Node, clock: Clock = time.time_ns) -> Predicate:
    """The predicate of a query. `clock` gives `now` in nanoseconds since 1970 UTC, asked at each document."""
    match node:
        case Is():
            return _is(node)
        case Range(field, operator, value):
            return any_value(
                field,
                range_test(operator, value, clock, ip=False),
                range_test(operator, value, clock, ip=True),
            )
        case And(children):
            return _all([compile_query(child, clock) for child in children])
        case Or(children):
            return _any([compile_query(child, clock) for child in children])
        case Not(child):
            predicate = compile_query(child, clock)
            return lambda document: not predicate(document)
        case Nested(path, child):
            return any_object(path, compile_query(child, clock))


def _is(node: Is) -> Predicate:
    if isinstance(node.value, Wildcard) and node.value.matches_all:
        if node.field == NO_FIELD or node == MATCH_ALL:
            return lambda _: True
        return exists(node.field)
    return any_value(node.field, is_test(node.value, ip=False), is_test(node.value, ip=True))


def _all(predicates: list[Predicate]) -> Predicate:
    def matches(document: Document) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a loop costs half of what all() and a generator do
            if not predicate(document):
                return False
        return True

    return matches


def _any(predicates: list[Predicate]) -> Predicate:
    def matches(document: Document) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(document):
                return True
        return False

    return matches
