"""Queries that hypothesis draws, with documents made of what they ask for, so that many match."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sockwarden.document import get, put
from sockwarden.kql.tree import NO_FIELD, And, Constant, Is, Literal, Nested, Node, Not, Or, Range, Text, Wildcard

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
    """A query and a document made of what it asks for."""
    tree = draw(trees)
    document: dict[str, Any] = {}
    for field, spellings in wishes(tree):
        if draw(st.integers(0, 5)):
            value = draw(st.sampled_from(spellings))
            put(document, field, [get(document, field), value] if draw(st.booleans()) else value)
    return tree, document


KINDS = ["keyword", "wildcard", "match_only_text", "long", "float", "boolean", "date", "ip", "flattened", "nested"]
kinds = st.dictionaries(st.sampled_from([*FIELDS, "p.b"]), st.sampled_from(KINDS), max_size=4)
