"""The grammar against Kibana's verdicts, and what the JSON form of the cases cannot show."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sockwarden.kql import (
    MATCH_ALL,
    And,
    Constant,
    Is,
    KqlSyntaxError,
    Not,
    Or,
    Text,
    Wildcard,
    compile_query,
    parse,
    required_literals,
    to_json,
)
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.parser import MAX_DEPTH

CASES = Path(__file__).parent.parent / "data" / "kql" / "cases.jsonl"


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", load(CASES), ids=lambda case: repr(case["query"]))
def test_kibana_case(case: dict[str, Any]) -> None:
    if case["ok"]:
        assert to_json(parse(case["query"])) == case["ast"]
        assert to_dsl(parse(case["query"])) == case["dsl"]
    else:
        with pytest.raises(KqlSyntaxError) as raised:
            parse(case["query"])
        assert raised.value.offset == case["offset"]
        assert raised.value.expected


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (r"a:b\*c*", Wildcard(("b*c", ""))),
        (r"a:b\*c", Text("b*c")),
        ("a:**", Wildcard(("", "", ""))),
        ("a: \u3000*b* \ufeff", Wildcard(("", "b", ""))),
        ('a:"*"', Text("*", quoted=True)),
        (r"a:\t", Text("")),
        ('a:""', Text("", quoted=True)),
        ("a:\xa0b", Text("b")),
        ("a:\x1fb\x1f", Text("\x1fb\x1f")),
        (r"a:\ud83d\ude00", Text("\U0001f600")),
        (r'a:"\ud83d\ude00\ud83d"', Text("\U0001f600\ud83d", quoted=True)),
        (r"a:\not b", Text("ot b")),
        (r"a:x \NOT b", Text("x NOT b")),
        (r'a:"\\n\n\x\u12"', Text("\\n\n\\x\\u12", quoted=True)),
        ("a:true", Constant(True)),
        (r"a:\u006eull", Constant(None)),
        ("a:true*", Wildcard(("true", ""))),
    ],
)
def test_literal(query: str, value: object) -> None:
    node = parse(query)
    assert isinstance(node, Is)
    assert node.value == value


def test_brackets_keep_their_own_node() -> None:
    a, b, c = (Is(Text("f"), Text(name)) for name in "abc")
    assert parse("f:a or f:b or f:c") == Or((a, b, c))
    assert parse("f:a or (f:b or f:c)") == Or((a, Or((b, c))))
    assert parse("f:a and not (f:b and f:c)") == And((a, Not(And((b, c)))))


def test_only_whitespace_matches_all() -> None:
    assert parse(" \t\r\n\xa0") == MATCH_ALL


def nested(levels: int) -> str:
    """Every bracket with an `or`, an `and` and a `not`, so that the tree is as deep as brackets can make it."""
    return "a:x or b:y and not (" * levels + "b:y" + ")" * levels


def test_the_deepest_query_needs_little_stack() -> None:
    def beneath(frames: int) -> bool:
        if frames:
            return beneath(frames - 1)
        tree = parse(nested(MAX_DEPTH))
        assert to_json(tree)
        assert to_dsl(tree)
        assert required_literals(tree) == (frozenset({("a", "x"), ("b", "y")}),)
        return compile_query(tree)({"a": "z", "b": "y"})

    assert sys.getrecursionlimit() == 1000
    assert beneath(300)


@pytest.mark.parametrize("query", [nested(MAX_DEPTH + 1), "(" * 100_000 + "a" + ")" * 100_000, "a:{" * 100_000])
def test_deeper_is_a_syntax_error(query: str) -> None:
    with pytest.raises(KqlSyntaxError) as raised:
        parse(query)
    assert raised.value.expected == ()
    assert query[raised.value.offset] in "({"
    assert query[: raised.value.offset].count("(") + query[: raised.value.offset].count("{") == MAX_DEPTH
    assert "brackets are nested more than 100 deep" in raised.value.why


MANY = 200_000


@pytest.mark.parametrize(
    "query",
    [
        " or ".join(["a:b"] * (MANY // 7)),
        " or ".join(["(a:(b or c))"] * (MANY // 16)),
        "a" + " " * MANY,
        '"a"' + " " * MANY + "b",
        " and" * (MANY // 4),
        " o" * (MANY // 2),
        "n" * MANY,
        "a:" + "*" * MANY,
        "a:" + "*a" * (MANY // 2),
        "a:" + "\\" * MANY,
        'a:"' + '\\"' * (MANY // 2),
        '"' * MANY,
        "a:" + "1" * MANY,
        "a:1e999999999",
        "a > now" + "+9999y" * (MANY // 6),
        "ip:" + r"1\:" * (MANY // 3) + "/1",
        "a:b" + " " * 9_000 + ":c",
        "a:(" + "x  or  " * 1_400 + ":",
    ],
    ids=lambda query: f"{query[:12]}…",
)
def test_hostile_query_ends(query: str) -> None:
    """Each of these takes well under a second; were one of them quadratic, it would take minutes."""
    try:
        tree = parse(query)
    except KqlSyntaxError as error:
        assert len(str(error)) < 30_000
        return
    matches = compile_query(tree)
    required_literals(tree)
    for value in ("ab" * 1000, "2026-01-01T00:00:00Z", 5, 5.0, True, ["x"], {"b": "c"}):
        assert matches({"a": value, "ip": "::1"}) in (True, False)
