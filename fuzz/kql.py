"""KQL queries: parsed, evaluated, and mended where they do not parse."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzz.properties import is_safe, satisfies

from sockwarden.document import Document, put
from sockwarden.kql import (
    ECS,
    MATCH_ALL,
    And,
    Constant,
    Is,
    KqlSyntaxError,
    Literal,
    Nested,
    Node,
    Not,
    Or,
    Range,
    compile_query,
    parse,
    required_literals,
    to_json,
)
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.explain import explain
from sockwarden.kql.printer import is_normal, print_query
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.sql import to_sql
from sockwarden.kql.values import parse_number

LONGEST = 512

_TESTS = Path(__file__).parents[1] / "tests"
_NOW = 1_790_000_000_000_000_000

_DOCUMENTS: tuple[Document, ...] = (
    {},
    {
        "@timestamp": "2026-11-22T01:02:03.456Z",
        "event": {"category": ["network"], "action": "connected-to"},
        "destination": {"address": ["/run/docker.sock", "docker.sock"], "ip": "10.0.0.1", "port": 2375},
        "process": {"executable": "/usr/bin/curl", "args": ["curl", None], "pid": 7},
    },
    {"a": [{"b": 1, "ip": "::1"}, {"b": [1.5, "x", True]}], "foo": {"bar": "baz", "": {"": "y"}}, "x": "true"},
)


def seeds() -> Iterator[bytes]:
    """The queries of the language's test data."""
    for name in ("data/kql/cases.jsonl", "kql/evaluate.jsonl", "kql/evaluate-typed.jsonl", "kql/hints.jsonl"):
        for line in (_TESTS / name).read_text("utf-8").splitlines():
            yield json.loads(line)["query"].encode("utf-8", "surrogatepass")


def check(data: bytes) -> None:
    """A query has a tree that evaluates, or an error that shows the place and suggests only what parses."""
    query = data.decode("utf-8", "surrogateescape")
    try:
        tree = parse(query)
    except KqlSyntaxError as error:
        _explains(query, error)
        return
    assert json.loads(json.dumps(to_json(tree))) == to_json(tree)
    _printed(tree)
    matches = compile_query(tree, lambda: _NOW)
    clauses = required_literals(tree)
    negation = None if tree == MATCH_ALL else _negation(query)
    for document in (*_DOCUMENTS, witness(tree, typed=False), witness(tree, typed=True)):
        matched = matches(document)
        assert matched == matches(document)
        assert matched == explain(tree, document, lambda: _NOW).matched
        assert not matched or satisfies(document, clauses), clauses
        assert negation is None or negation(document) != matched


def _printed(tree: Node) -> None:
    """Its normal form is the same tree; the other back ends have an answer or refuse."""
    for wrap in (False, True):
        printed = print_query(tree, wrap=wrap)
        assert is_safe(printed.replace("\n", " ")), printed
        assert parse(printed) == tree
        assert is_normal(printed)
    to_dsl(tree)
    for translate in (to_dsl, to_sql):
        with contextlib.suppress(UnsupportedError):
            translate(tree, ECS)


def _explains(query: str, error: KqlSyntaxError) -> None:
    assert 0 <= error.offset <= len(query)
    assert all(map(is_safe, str(error).split("\n"))), str(error)
    if error.suggestion is not None:
        assert error.suggestion != query
        parse(error.suggestion)


def _negation(query: str) -> Callable[[Document], bool] | None:
    """`not (query)`, None where it is nested too deep."""
    try:
        return compile_query(parse(f"not ({query})"), lambda: _NOW)
    except KqlSyntaxError as error:
        assert not error.expected, error
        return None


def witness(node: Node, *, typed: bool) -> Document:
    """A document made of the query's own fields and values, so that many a query finds a match; typed: numbers and
    booleans as such, else as text.
    """
    document: Document = {}
    for field, value in _leaves(node):
        text = str(value).replace("*", "x")
        number = parse_number(text) if typed else None
        stored: object = text if number is None else number.double
        if typed and isinstance(value, Constant):
            stored = value.value
        put(document, str(field).replace("*", "x"), stored)
    return document


def _leaves(node: Node) -> Iterator[tuple[str, Literal]]:
    match node:
        case Is(field, value) | Range(field, _, value):
            yield str(field), value
        case And(children) | Or(children):
            for child in children:
                yield from _leaves(child)
        case Not(child):
            yield from _leaves(child)
        case Nested(path, child):
            yield from ((f"{path}.{field}", value) for field, value in _leaves(child))
