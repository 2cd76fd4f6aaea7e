"""Why a document matches or does not: `explain.jsonl`, one leaf and document a line with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sockwarden.kql import compile_query, parse
from sockwarden.kql.explain import (
    MOST_CHARACTERS,
    MOST_LINES,
    MOST_VALUES,
    Explanation,
    explain,
    explanation_lines,
    to_json,
)

NOW = 1_794_745_800_000_000_000
HERE = Path(__file__).parent
LEAVES = [json.loads(line) for line in HERE.joinpath("explain.jsonl").read_text("utf-8").splitlines()]
CASES = [
    json.loads(line) for file in sorted(HERE.glob("evaluate*.jsonl")) for line in file.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", LEAVES, ids=lambda case: f"{case['query']} | {case['why']}")
def test_leaf(case: dict[str, Any]) -> None:
    explained = explain(parse(case["query"]), case["document"])
    assert (explained.matched, explained.why) == (case["matched"], case["why"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['query']} | {case['why']}")
def test_it_says_what_the_evaluator_says(case: dict[str, Any]) -> None:
    tree = parse(case["query"])
    explained = explain(tree, case["document"], lambda: NOW)
    assert explained.matched is compile_query(tree, lambda: NOW)(case["document"]) is case["matches"]
    for leaf in _leaves(explained):
        assert leaf.matched or leaf.why or leaf.operator == "nested"
    json.dumps(to_json(explained))


def test_lines_show_the_tree() -> None:
    query = 'process.executable:(* and not "/usr/bin/dockerd") and process.elf.sections:{name:.text}'
    document = {"process": {"executable": "/usr/bin/dockerd", "elf": {"sections": [{"name": ".data"}]}}}
    assert list(explanation_lines(explain(parse(query), document))) == [
        (0, False, "and", ""),
        (1, False, "and", ""),
        (2, True, "process.executable:*", "/usr/bin/dockerd"),
        (2, False, "not", ""),
        (3, True, 'process.executable:"/usr/bin/dockerd"', "/usr/bin/dockerd"),
        (1, False, "process.elf.sections:{…}", "none of 1 objects alone holds it"),
        (2, False, "name:.text", ".data: no value is it"),
    ]


def test_what_matches_is_told_first() -> None:
    explained = explain(parse("a:x"), {"a": ["y"] * 1000 + ["x", "z", "x"]})
    assert explained.values == ("x", "x", *["y"] * (MOST_VALUES - 2))
    assert (explained.matching, explained.more) == (2, 1003 - MOST_VALUES)
    assert list(explanation_lines(explained)) == [(0, True, "a:x", "x, x")]


def test_values_are_told_in_order_and_cut() -> None:
    explained = explain(parse("a.b:x"), {"a": [{"b": [str(n)]} for n in range(1000)]})
    assert explained.values == tuple(map(str, range(MOST_VALUES)))
    assert list(explanation_lines(explained)) == [
        (0, False, "a.b:x", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … 990 more: no value is it")
    ]
    long = explain(parse("a:x"), {"a": "X" * 10_000_000})
    assert isinstance(long.values[0], str)
    assert len(long.values[0]) == MOST_CHARACTERS
    nearly = explain(parse(f"a:{'x' * 1000}"), {"a": "X" * 1000})
    assert len(nearly.why) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("curl", "process.name curl, process.executable.text /usr/bin/curl"),
        ("process.*:curl", "process.name curl, process.executable.text /usr/bin/curl"),
        ("process.n*:*", "process.name curl, process.name.text curl"),
    ],
)
def test_fields_that_hold_it_are_named(query: str, line: str) -> None:
    document = {"process": {"executable": "/usr/bin/curl", "name": "curl"}}
    ((_, matched, _, found),) = explanation_lines(explain(parse(query), document))
    assert matched
    assert set(line.split(", ")) <= set(found.split(", "))


def test_the_object_that_holds_it_is_shown() -> None:
    document = {"p": [{"a": str(n)} for n in range(100)]}
    explained = explain(parse("p:{ a:77 }"), document)
    assert [child.values for child in explained.children] == [("77",)]
    assert explained.more == 99


def test_a_long_list_is_cut() -> None:
    query = f"a:({' or '.join(f'v{n}' for n in range(500))})"
    *_, last = lines = list(explanation_lines(explain(parse(query), {"a": "v450"})))
    assert len(lines) == 1 + MOST_LINES + 1
    assert last == (1, True, "…", "400 more, of which 1 hold")


def _leaves(explained: Explanation) -> list[Explanation]:
    if not explained.children:
        return [explained]
    return [leaf for child in explained.children for leaf in _leaves(child)]
