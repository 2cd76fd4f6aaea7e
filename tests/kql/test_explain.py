"""Why a document matches or does not: `explain.jsonl`, one leaf and document a line with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sockwarden.kql import Explanation, compile_query, explain, explanation_lines, parse
from sockwarden.kql.explain import MOST_VALUES, to_json

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
        (1, False, "process.elf.sections:{…}", ""),
        (2, False, "name:.text", ".data: no value is it"),
    ]


def test_many_values_are_cut() -> None:
    explained = explain(parse("a:x"), {"a": ["y"] * 1000})
    assert len(explained.values) == MOST_VALUES


def _leaves(explained: Explanation) -> list[Explanation]:
    if not explained.children:
        return [explained]
    return [leaf for child in explained.children for leaf in _leaves(child)]
