"""A tree as a function over documents, with what Elasticsearch would answer had it indexed them with these field types.

A field whose type is not known is judged by each value's own (see `values`, `ranges`), so there `is` compares dates as
texts. Two things are ours: no text is too long to be found, and a value that its type cannot hold is passed over
where Elasticsearch refuses the document.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sockwarden.document import Document
from sockwarden.kql.dates import Clock
from sockwarden.kql.fields import Predicate, TestOf, any_object, any_value, exists
from sockwarden.kql.named import under
from sockwarden.kql.order import cheapest_first, most_telling_first, names_a_field
from sockwarden.kql.ranges import range_test
from sockwarden.kql.tree import MATCH_ALL, NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import ECS, FieldTypes
from sockwarden.kql.values import any_of_test, has_value, is_test


def compile_query(node: Node, clock: Clock = time.time_ns, types: FieldTypes = ECS) -> Predicate:
    """The predicate of a query. `clock` gives `now` in nanoseconds since 1970 UTC, asked at each document."""
    return compile_at("", node, clock, types)


def compile_at(path: str, node: Node, clock: Clock, types: FieldTypes) -> Predicate:
    """The predicate of a node within `path:{…}`, over the objects at that path."""
    match node:
        case Is() | Range():
            return compile_leaf(node, clock, types, path)
        case And(children):
            return _all([compile_at(path, child, clock, types) for child in most_telling_first(children)])
        case Or(children):
            alternatives, others = _by_field(children)
            predicates = [_compile_alternatives(leaves, clock, types, path) for leaves in alternatives]
            return _any([*predicates, *(compile_at(path, child, clock, types) for child in cheapest_first(others))])
        case Not(child):
            predicate = compile_at(path, child, clock, types)
            return lambda document: not predicate(document)
        case Nested(name, child):
            return any_object(name, compile_at(str(under(path, name)), child, clock, types))


def _by_field(children: Iterable[Node]) -> tuple[list[list[Is]], list[Node]]:
    """Values asked of one field, field by field, and everything else."""
    alternatives: dict[str, list[Is]] = {}
    others: list[Node] = []
    for child in children:
        if isinstance(child, Is) and not is_exists(child) and names_a_field(child):
            alternatives.setdefault(str(child.field), []).append(child)
        else:
            others.append(child)
    return list(alternatives.values()), others


def _compile_alternatives(leaves: Sequence[Is], clock: Clock, types: FieldTypes, path: str) -> Predicate:
    """The predicate of `field:(a or b …)`, which goes to the field once."""
    literals = [leaf.value for leaf in leaves]
    return any_value(leaves[0].field, lambda kind: any_of_test(literals, kind, clock), types, path)


def compile_leaf(node: Is | Range, clock: Clock, types: FieldTypes, path: str = "") -> Predicate:
    """The predicate of a leaf, over documents, or over the objects at a path."""
    if is_exists(node):
        if node.field == NO_FIELD or node == MATCH_ALL:
            return lambda _: True
        return exists(node.field, has_value, types, path)
    return any_value(node.field, tests_of(node, clock), types, path)


def tests_of(node: Is | Range, clock: Clock) -> TestOf:
    """By a field's type, the test that a leaf puts to each of its values."""
    if isinstance(node, Range):
        return lambda kind: range_test(node.operator, node.value, kind, clock)
    return has_value if is_exists(node) else lambda kind: is_test(node.value, kind, clock)


def is_exists(node: Is | Range) -> bool:
    """Whether a leaf is `field:*`, which any value satisfies."""
    return isinstance(node, Is) and isinstance(node.value, Wildcard) and node.value.is_lone


def _all(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 2:
        first, second = predicates
        return lambda document: first(document) and second(document)

    def matches(document: Document) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a loop costs half of what all() and a generator do
            if not predicate(document):
                return False
        return True

    return matches


def _any(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]

    def matches(document: Document) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(document):
                return True
        return False

    return matches
