"""A tree as a function over documents, with what Elasticsearch would answer had it indexed them with these field types.

A field whose type is not known is judged by each value's own (see `values`, `ranges`), so there `is` compares dates as
texts. Two things are ours: no text is too long to be found, and a value that its type cannot hold is passed over
where Elasticsearch refuses the document.
"""

from __future__ import annotations

import time

from sockwarden.document import Document
from sockwarden.kql.dates import Clock
from sockwarden.kql.fields import Predicate, any_object, any_value, exists
from sockwarden.kql.named import under
from sockwarden.kql.ranges import range_test
from sockwarden.kql.tree import MATCH_ALL, NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import ECS, FieldTypes
from sockwarden.kql.values import has_value, is_test


def compile_query(node: Node, clock: Clock = time.time_ns, types: FieldTypes = ECS) -> Predicate:
    """The predicate of a query. `clock` gives `now` in nanoseconds since 1970 UTC, asked at each document."""
    return _compile(node, clock, types, "")


def _compile(node: Node, clock: Clock, types: FieldTypes, path: str) -> Predicate:
    """`path` is that of the `path:{…}` around the node."""
    match node:
        case Is():
            return compile_leaf(node, clock, types, path)
        case Range():
            return compile_leaf(node, clock, types, path)
        case And(children):
            return _all([_compile(child, clock, types, path) for child in children])
        case Or(children):
            return _any([_compile(child, clock, types, path) for child in children])
        case Not(child):
            predicate = _compile(child, clock, types, path)
            return lambda document: not predicate(document)
        case Nested(name, child):
            return any_object(name, _compile(child, clock, types, str(under(path, name))))


def compile_leaf(node: Is | Range, clock: Clock, types: FieldTypes, path: str = "") -> Predicate:
    """The predicate of a leaf, over documents, or over the objects at a path."""
    if isinstance(node, Range):
        return any_value(node.field, lambda kind: range_test(node.operator, node.value, kind, clock), types, path)
    if isinstance(node.value, Wildcard) and node.value.is_lone:
        if node.field == NO_FIELD or node == MATCH_ALL:
            return lambda _: True
        return exists(node.field, has_value, types, path)
    return any_value(node.field, lambda kind: is_test(node.value, kind, clock), types, path)


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
