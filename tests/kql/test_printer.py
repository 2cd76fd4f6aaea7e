"""The normal form: it parses to the same tree, and printing it again changes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.kql import (
    NO_FIELD,
    And,
    Constant,
    Is,
    Literal,
    Nested,
    Node,
    Not,
    Or,
    Range,
    Text,
    Wildcard,
    fields_of,
    parse,
)
from sockwarden.kql.parser import MAX_DEPTH
from sockwarden.kql.printer import is_normal, print_query
from sockwarden.kql.scanner import TRIMMED

CASES = Path(__file__).parent.parent / "data" / "kql" / "cases.jsonl"
QUERIES = [case["query"] for case in map(json.loads, CASES.read_text("utf-8").splitlines()) if case["ok"]]
QUERIES += [
    json.loads(line)["query"] for line in Path(__file__).with_name("evaluate.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_cases(query: str) -> None:
    tree = parse(query)
    printed = print_query(tree)
    assert parse(printed) == tree
    assert parse(print_query(tree, wrap=True)) == tree
    assert is_normal(printed)


@pytest.mark.parametrize(
    ("query", "normal"),
    [
        ("", "*:*"),
        ("a : b  AND c:d", "a:b and c:d"),
        ("((a:b))", "a:b"),
        ("a:b or a:c", "a:(b or c)"),
        ("a:b or a:c or d:e", "a:b or a:c or d:e"),
        ("a:b or (a:c or d:e)", "a:b or (a:c or d:e)"),
        ("a:(b or c) or d:e", "a:(b or c) or d:e"),
        ("a:b and (c:d or e:f)", "a:b and (c:d or e:f)"),
        ("(a:b and c:d) or e:f", "a:b and c:d or e:f"),
        ("NOT (a:b)", "not a:b"),
        ("not (a:b or a:c)", "not a:(b or c)"),
        ("not (a:b and c:d)", "not (a:b and c:d)"),
        ("not (not a:b)", "not (not a:b)"),
        ("a:(not b)", "not a:b"),
        ("a:(* and not (b or c))", "a:(* and not (b or c))"),
        ("a<=5 and b > 1", "a <= 5 and b > 1"),
        ("a:{b:c and d:e}", "a:{ b:c and d:e }"),
        ("a:{b:c or b:d}", "a:{ b:(c or d) }"),
        ("a or b", "a or b"),
        ('"a"', '"a"'),
        (r'a:"\d"', r'a:"\\d"'),
        (r"a:\u0041\u00e9", "a:Aé"),
        ("a:x\ty", r"a:x\ty"),
        (r"a:b\*c*", r"a:b\*c*"),
        ("a:and", r"a:\and"),
        ("a:b And", r"a:b \And"),
        (r"a:no\u0074 b", r"a:\u006eot b"),
        (r"a:can\Not b", r"a:can\Not b"),
        ("a:cannot", r"a:can\u006eot"),
        ("a:nothing", "a:nothing"),
        ("a:order", "a:order"),
        (r"a:\t", r"a:\t"),
        ("a:\u202ex", r"a:\u202ex"),
        (r"a:\ud83d\ude00", "a:\U0001f600"),
        (r"a:\ud83d", r"a:\ud83d"),
        ("null:x", "x"),
        ('"a*":b', '"a*":b'),
    ],
)
def test_one_spelling(query: str, normal: str) -> None:
    assert print_query(parse(query)) == normal
    assert parse(normal) == parse(query)


@pytest.mark.parametrize(
    ("query", "normal"),
    [
        (" a:b\n  and c:d\n", True),
        ("a:(b or\n  c)", True),
        ("a:{b:c}", True),
        ("a:{ b:c }", True),
        ("a >= 1", True),
        ("a>=1", True),
        ('a:"b  c"', True),
        ("a:b  c", True),
        ("a:b\nc", False),
        ("a:b AND c:d", False),
        ("(a:b)", False),
        ("a:b or a:c", False),
        ("a: or b", False),
        (r"a:\u0041", False),
        (r"a:b\u00a0", False),
    ],
)
def test_only_whitespace_between_tokens_is_free(query: str, normal: bool) -> None:
    assert is_normal(query) is normal


def test_wrapped_as_rule_files_are() -> None:
    paths = [f"/usr/local/bin/program-{number}" for number in range(4)]
    query = f"event.action:x and process.executable:(* and not ({' or '.join(paths)}))"
    assert print_query(parse(query), wrap=True).splitlines() == [
        "event.action:x and",
        "process.executable:(",
        "  * and",
        "  not (",
        *(f"    {path} or" for path in paths[:-1]),
        f"    {paths[-1]}",
        "  )",
        ")",
    ]


@pytest.mark.parametrize("innermost", ["a:b or a:c", "not (not a:b)", "a:b"])
def test_the_deepest_query_needs_little_stack(innermost: str) -> None:
    levels = MAX_DEPTH - innermost.count("(")
    query = "a:x or b:y and not (" * levels + innermost + ")" * levels

    def beneath(frames: int) -> None:
        if frames:
            return beneath(frames - 1)
        assert is_normal(print_query(parse(query)))
        assert is_normal(print_query(parse(query), wrap=True))
        assert fields_of(parse(query)) == {"a", "b"}
        return None

    assert sys.getrecursionlimit() == 1000
    beneath(300)


def test_fields() -> None:
    query = 'a:b and not c.*:* or p:{ d > 1 and e:{ f:g } } or lone or "x*":1'
    assert fields_of(parse(query)) == {"a", "c.*", "p.d", "p.e.f", "x*"}


PIECES = st.text(st.sampled_from("anotrdNORD \t\n\xa0\\():<>\"*{}é/.\u3000\u200b\U0001f600\U000e0001'"), max_size=8)


def unquoted(text: str) -> Text | Constant:
    constant = {"null": Constant(None), "true": Constant(True), "false": Constant(False)}
    return constant.get(text.strip(TRIMMED)) or Text(text.strip(TRIMMED))


def wildcard(pieces: list[str]) -> Wildcard:
    return Wildcard((pieces[0].lstrip(TRIMMED), *pieces[1:-1], pieces[-1].rstrip(TRIMMED)))


LITERALS: st.SearchStrategy[Literal] = st.one_of(
    PIECES.map(lambda text: Text(text, quoted=True)),
    PIECES.map(unquoted),
    st.lists(PIECES, min_size=2, max_size=4).map(wildcard),
    st.sampled_from([Constant(None), Constant(True), Constant(False)]),
)
FIELDS = st.one_of(st.sampled_from([Text("f"), Text("g.h"), NO_FIELD]), LITERALS)
LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Is, FIELDS, LITERALS),
    st.builds(Range, FIELDS, st.sampled_from(["lt", "lte", "gt", "gte"]), LITERALS),
)
TREES = st.recursive(
    LEAVES,
    lambda node: st.one_of(
        st.lists(node, min_size=2, max_size=4).map(tuple).map(And),
        st.lists(node, min_size=2, max_size=4).map(tuple).map(Or),
        st.builds(Not, node),
        st.builds(Nested, FIELDS, node),
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=400)
@given(TREES)
def test_every_tree(tree: Node) -> None:
    printed = print_query(tree)
    assert parse(printed) == tree
    assert parse(print_query(tree, wrap=True)) == tree
    assert is_normal(printed)
