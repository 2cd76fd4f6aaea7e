"""The literals that a match must contain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sockwarden.document import get, put, values
from sockwarden.kql import TypeTable, compile_query, parse, required_literals
from sockwarden.kql.tree import NO_FIELD, And, Constant, Is, Literal, Nested, Node, Not, Or, Range, Text, Wildcard
from sockwarden.literals import Clause


@pytest.mark.parametrize(
    ("query", "clauses"),
    [
        ("a:b", [[("a", "b")]]),
        ('a:"b c"', [[("a", "b c")]]),
        ("a:/var/*/dockerd", [[("a", "/dockerd")]]),
        (r"a:x\*y*", [[("a", "x*y")]]),
        ("a:*", [[("a", "")]]),
        ("a:x and b:y", [[("a", "x")], [("b", "y")]]),
        ("a:x and not b:y", [[("a", "x")]]),
        ("a:x and a:x", [[("a", "x")]]),
        ("a:(x or y)", [[("a", "x"), ("a", "y")]]),
        ("a:x or b:y", [[("a", "x"), ("b", "y")]]),
        ("a:x or not b:y", []),
        ("(c:p and a:x) or (c:q and a:y)", [[("c", "p"), ("c", "q")], [("a", "x"), ("a", "y")]]),
        ("(c:p and a:x) or a:y", [[("a", "x"), ("a", "y")]]),
        ("(a:* and a:longer and b:z) or a:y", [[("a", "longer"), ("a", "y")]]),
        ("(a:x and b:longer) or c:y", [[("b", "longer"), ("c", "y")]]),
        ("p:{a:x and q:{b:y}}", [[("p.a", "x")], [("p.q.b", "y")]]),
        ("p:{x}", []),
        ("a:1", [[("a", "")]]),
        ('a:"-1.5e3"', [[("a", "")]]),
        ("a:true", [[("a", "")]]),
        ('a:"false"', [[("a", "")]]),
        ("a:null", [[("a", "")]]),
        ("source.ip:10.0.0.1", [[("source.ip", "")]]),
        ('source.ip:"::1"', [[("source.ip", "")]]),
        ("source.ip:x", [[("source.ip", "")]]),
        ("a:10.0.0.1", [[("a", "10.0.0.1")]]),
        ("foo", []),
        ("a*:b", []),
        ("a > 5", []),
        ("", []),
        (
            'host.os.type:linux and destination.address:("/run/a" or "/run/b") and process.executable:(* and not "/x")',
            [
                [("host.os.type", "linux")],
                [("destination.address", "/run/a"), ("destination.address", "/run/b")],
                [("process.executable", "")],
            ],
        ),
    ],
)
def test_clauses(query: str, clauses: list[list[tuple[str, str]]]) -> None:
    assert required_literals(parse(query)) == tuple(map(frozenset, clauses))


TEXTS = ["x", "xy", "yx", "1", "1.0", "true", "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.0/8", ""]
FIELDS = ["a", "b", "ip", "p", "a.b", "p.a", "p.ip", "p.b.a"]

literals: st.SearchStrategy[Literal] = st.one_of(
    st.builds(Text, st.sampled_from(TEXTS), st.booleans()),
    st.sampled_from([Wildcard(("", "")), Wildcard(("x", "y")), Wildcard(("", "y", "")), Wildcard(("1", ""))]),
    st.sampled_from([Constant(True), Constant(False), Constant(None)]),
)
fields: st.SearchStrategy[Literal] = st.one_of(
    st.sampled_from(FIELDS).map(Text),
    st.sampled_from(FIELDS).map(Text),
    st.sampled_from([NO_FIELD, Wildcard(("", "")), Wildcard(("p", ""))]),
)


def _larger(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, children),
        st.builds(Nested, st.sampled_from(["p", "a", "p.b"]).map(Text), children),
    )


trees = st.recursive(
    st.one_of(st.builds(Is, fields, literals), st.builds(Range, fields, st.sampled_from(["lt", "gte"]), literals)),
    _larger,
    max_leaves=8,
)

SPELLINGS: dict[str, list[Any]] = {
    "1": [1, 1.0, "1"],
    "1.0": [1, 1.0, "1.0"],
    "true": [True, "true"],
    "false": [False],
    "10.0.0.1": ["10.0.0.1", "::ffff:10.0.0.1"],
    "::ffff:10.0.0.1": ["10.0.0.1"],
    "10.0.0.0/8": ["10.9.9.9", "10.0.0.0/8"],
    "*": ["", 0, {"b": "x"}],
}


def wishes(node: Node, path: str = "") -> list[tuple[str, list[Any]]]:
    """Fields that the query names, each with values that may satisfy it there."""
    match node:
        case Is(field, value) | Range(field, _, value):
            text = str(value)
            name = str(field) if isinstance(field, Text) else "b"
            return [(path + name, SPELLINGS.get(text, [text.replace("*", "z"), text]))]
        case And(children) | Or(children):
            return [wish for child in children for wish in wishes(child, path)]
        case Nested(inner, child):
            return wishes(child, f"{path}{inner}.")
        case Not(child):
            return wishes(child, path)


@st.composite
def trees_and_documents(draw: st.DrawFn) -> tuple[Node, dict[str, Any]]:
    """Documents made of what the query asks for, so that many match."""
    tree = draw(trees)
    document: dict[str, Any] = {}
    for field, spellings in wishes(tree):
        if draw(st.integers(0, 5)):
            value = draw(st.sampled_from(spellings))
            put(document, field, [get(document, field), value] if draw(st.booleans()) else value)
    return tree, document


def holds(clause: Clause, document: dict[str, Any]) -> bool:
    return any(
        exists(document, field.split(".")) if text == "" else _contains(values(document, field), text)
        for field, text in clause
    )


def _contains(leaves: Any, text: str) -> bool:
    return any(isinstance(leaf, str) and text in leaf for leaf in leaves)


def exists(value: Any, parts: list[str]) -> bool:
    if isinstance(value, list):
        return any(exists(element, parts) for element in value)
    if parts:
        return isinstance(value, dict) and exists(value.get(parts[0]), parts[1:])
    if isinstance(value, dict):
        return any(exists(child, []) for child in value.values())
    return value is not None


@settings(max_examples=500, deadline=None)
@given(trees_and_documents())
def test_a_match_satisfies_every_clause(drawn: tuple[Node, dict[str, Any]]) -> None:
    tree, document = drawn
    clauses = required_literals(tree)
    matched = compile_query(tree)(document)
    event(f"match {matched}, clauses {bool(clauses)}")
    assert not matched or all(holds(clause, document) for clause in clauses)


KINDS = ["keyword", "wildcard", "match_only_text", "long", "float", "boolean", "date", "ip", "flattened", "nested"]
kinds = st.dictionaries(st.sampled_from([*FIELDS, "p.b"]), st.sampled_from(KINDS), max_size=4)


@settings(max_examples=1000, deadline=None)
@given(trees_and_documents(), kinds)
def test_and_so_it_does_by_types(drawn: tuple[Node, dict[str, Any]], by_name: dict[str, str]) -> None:
    tree, document = drawn
    types = TypeTable(by_name)
    clauses = required_literals(tree, types)
    matched = compile_query(tree, types=types)(document)
    event(f"match {matched}, clauses {bool(clauses)}")
    assert not matched or all(holds(clause, document) for clause in clauses)
