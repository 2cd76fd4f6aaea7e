"""Where the leaves of a query stand: each literal is found again at its place, in the order of the tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sockwarden.kql import NO_FIELD, And, Is, Nested, Node, Not, Or, Range, parse
from sockwarden.kql.places import places
from sockwarden.kql.scanner import scan_literal

CASES = Path(__file__).parents[1] / "data" / "kql" / "cases.jsonl"
QUERIES = [case["query"] for case in map(json.loads, CASES.read_text("utf-8").splitlines()) if case["ok"]]
MORE = [
    "a:a or a:a",
    'a: ( b or not (c and "d") ) and e<5 and n:{ o:p and q:{ r:(s or t) } } or bare',
    "not a:b",
    "a:(b)",
    "f* : v and x:null and *",
]


def leaves(node: Node, prefix: str = "") -> list[tuple[object, object, str]]:
    match node:
        case Is(field, value) | Range(field, _, value):
            return [(field, value, prefix)]
        case And(children) | Or(children):
            return [leaf for child in children for leaf in leaves(child, prefix)]
        case Not(child):
            return leaves(child, prefix)
        case Nested(path, child):
            return leaves(child, f"{prefix}{path}.")


@pytest.mark.parametrize("query", [query for query in [*QUERIES, *MORE] if query.strip()])
def test_each_leaf_is_where_it_is_said_to_be(query: str) -> None:
    found = places(query)
    assert [(one.field, one.value, one.prefix) for one in found] == leaves(parse(query))
    for one in found:
        scanned = scan_literal(query, one.value_offset)
        assert scanned and scanned[0] == one.value
        field = scan_literal(query, one.field_offset)
        assert field and field[0] == (one.value if one.field == NO_FIELD else one.field)


def test_names_are_whole_within_a_nested_path() -> None:
    assert [one.name for one in places("n:{ o:p and q:{ r:s } } and t")] == ["n.o", "n.q.r", ""]
