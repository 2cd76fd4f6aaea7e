"""What a query matches: `evaluate*.jsonl`, one query and document a line with the verdict and its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.kql import compile_query, parse
from sockwarden.kql.values import glob

NOW = 1_794_745_800_000_000_000
"""2026-11-15T12:30:00Z, a Sunday."""

CASES = [
    json.loads(line)
    for file in sorted(Path(__file__).parent.glob("evaluate*.jsonl"))
    for line in file.read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['query']} | {case['why']}")
def test_case(case: dict[str, Any]) -> None:
    matches = compile_query(parse(case["query"]), clock=lambda: NOW)
    assert matches(case["document"]) is case["matches"]


def test_now_is_asked_at_every_document() -> None:
    moments = iter([NOW, NOW + 3600 * 10**9])
    recent = compile_query(parse("t > now-1m"), clock=lambda: next(moments))
    document = {"t": "2026-11-15T12:30:00Z"}
    assert recent(document)
    assert not recent(document)


INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("query", "matching"),
    [
        ("a:5", []),
        ("a:nan", []),
        ("a:1e400", [10**400, INFINITE]),  # a document's 1e400 was read as infinity
        ("a:1e999999999", [INFINITE]),
        ("a > 5", [10**400, 1.7e308, INFINITE]),
        ("a < 1e999999999", [10**400, -(10**400), 1.7e308, -INFINITE]),
    ],
)
def test_odd_numbers(query: str, matching: list[float]) -> None:
    matches = compile_query(parse(query))
    values = (10**400, -(10**400), 1.7e308, INFINITE, -INFINITE, NAN)
    assert [value for value in values if matches({"a": value})] == matching


def test_a_deep_document() -> None:
    document: Any = "x"
    for _ in range(5_000):
        document = {"a": [document]}
    assert compile_query(parse("x"))(document)
    assert compile_query(parse("a:*"))(document)
    assert compile_query(parse("a*:x"))(document)
    assert not compile_query(parse("a:x"))(document)


@settings(deadline=None)
@given(st.lists(st.text("ab", max_size=3), min_size=2, max_size=5).map(tuple), st.text("ab", max_size=12))
def test_glob_is_the_regular_expression(pieces: tuple[str, ...], text: str) -> None:
    assert glob(pieces)(text) is (re.fullmatch(".*".join(pieces), text, re.DOTALL) is not None)
