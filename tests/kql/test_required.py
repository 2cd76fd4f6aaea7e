"""The literals that a match must contain."""

from __future__ import annotations

from typing import Any

import pytest
from drawn_queries import kinds, trees_and_documents
from hypothesis import event, given, settings

from sockwarden.document import values
from sockwarden.kql import Node, TypeTable, compile_query, parse, required_literals
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


@settings(max_examples=1000, deadline=None)
@given(trees_and_documents(), kinds)
def test_and_so_it_does_by_types(drawn: tuple[Node, dict[str, Any]], by_name: dict[str, str]) -> None:
    tree, document = drawn
    types = TypeTable(by_name)
    clauses = required_literals(tree, types)
    matched = compile_query(tree, types=types)(document)
    event(f"match {matched}, clauses {bool(clauses)}")
    assert not matched or all(holds(clause, document) for clause in clauses)
