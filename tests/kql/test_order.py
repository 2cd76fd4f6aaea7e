"""However the parts of a query are ordered and joined, the answer is that of each part alone."""

from __future__ import annotations

from typing import Any

import pytest
from drawn_queries import kinds, trees_and_documents
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sockwarden.document import Document
from sockwarden.kql import TypeTable, compile_query, parse
from sockwarden.kql.evaluate import compile_leaf
from sockwarden.kql.fields import objects_at
from sockwarden.kql.named import under
from sockwarden.kql.order import cheapest_first, most_telling_first
from sockwarden.kql.printer import print_query
from sockwarden.kql.tree import And, Is, Nested, Node, Not, Or, Range
from sockwarden.kql.types import FieldTypes


def part_by_part(node: Node, document: Document, types: FieldTypes, path: str = "") -> bool:
    """The verdict as the query is written: every part, in its order, each leaf by itself."""
    match node:
        case Is() | Range():
            return compile_leaf(node, lambda: 0, types, path)(document)
        case And(children):
            return all(part_by_part(child, document, types, path) for child in children)
        case Or(children):
            return any(part_by_part(child, document, types, path) for child in children)
        case Not(child):
            return not part_by_part(child, document, types, path)
        case Nested(name, child):
            inner = str(under(path, name))
            return any(part_by_part(child, one, types, inner) for one in objects_at(name, document))


@settings(max_examples=1000, deadline=None)
@given(trees_and_documents(), kinds)
def test_the_verdict_is_that_of_the_parts(drawn: tuple[Node, dict[str, Any]], by_name: dict[str, str]) -> None:
    tree, document = drawn
    types = TypeTable(by_name)
    matched = compile_query(tree, lambda: 0, types)(document)
    event(f"match {matched}")
    assert matched is part_by_part(tree, document, types)


leaves = st.one_of(st.sampled_from(["x", "xy", "zy", "", 1, 1.0, True, None, float("inf")]))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner)),
    max_leaves=6,
)
asked = st.lists(
    st.sampled_from(["x", '"xy"', "*y", "x*", "*y*", "x*y", "1", "true", "inf*", '"inf"', "*"]), min_size=1
)


@settings(max_examples=1000, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), values), asked, st.sampled_from(["a", "a.b", "a.b.c", "a.b.c.a"]), kinds)
def test_many_values_of_one_field(
    document: dict[str, Any], texts: list[str], field: str, by_name: dict[str, str]
) -> None:
    tree = parse(f"{field}:({' or '.join(texts)})")
    types = TypeTable(by_name)
    matched = compile_query(tree, lambda: 0, types)(document)
    event(f"match {matched}")
    assert matched is part_by_part(tree, document, types)


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("host.os.type:linux and process.name:nc", ["process.name:nc", "host.os.type:linux"]),
        ("*:x and a:y", ["a:y", "*:x"]),
        ("not a:x and b:*y and c:z", ["c:z", "b:*y", "not a:x"]),
        ("a:* and b:(x or y)", ["b:(x or y)", "a:*"]),
        ("p:{*:x} and p:{a:y}", ["p:{ a:y }", "p:{ *:x }"]),
    ],
)
def test_what_tells_most_comes_first(query: str, ordered: list[str]) -> None:
    tree = parse(query)
    assert isinstance(tree, And)
    assert [print_query(child) for child in most_telling_first(tree.children)] == ordered


def test_of_an_or_what_is_cheap_comes_first() -> None:
    tree = parse("*:x or a > 5 or b:*")
    assert isinstance(tree, Or)
    assert [print_query(child) for child in cheapest_first(tree.children)] == ["b:*", "a > 5", "*:x"]
