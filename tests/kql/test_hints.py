"""Suggestions: `hints.jsonl`, one broken query a line with what is suggested for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.kql import KqlSyntaxError, parse
from sockwarden.kql.hints import LONGEST

CASES = [json.loads(line) for line in Path(__file__).with_name("hints.jsonl").read_text("utf-8").splitlines()]

SLIPS = [
    "a",
    "not ",
    "not",
    " or ",
    "or",
    " and ",
    "and",
    " ",
    ":",
    "(",
    ")",
    "{",
    "}",
    "<",
    ">=",
    "*",
    '"',
    "\\",
    "&&",
]


def failure(query: str) -> KqlSyntaxError | None:
    try:
        parse(query)
    except KqlSyntaxError as error:
        return error
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_suggestion(case: dict[str, str | None]) -> None:
    query, suggestion = case["query"], case["suggestion"]
    assert query is not None
    error = failure(query)
    assert error is not None
    assert error.suggestion == suggestion
    assert error.todo == ("" if suggestion is None else f"Write: {suggestion}")


@settings(deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(SLIPS), max_size=16).map("".join)))
def test_any_text_parses_or_fails_with_a_suggestion_that_parses(query: str) -> None:
    error = failure(query)
    if error is not None:
        assert 0 <= error.offset <= len(query)
        assert str(error).isprintable() or "\n" in str(error)
        if error.suggestion is not None:
            assert error.suggestion.strip()
            assert failure(error.suggestion) is None


def test_none_is_sought_for_a_very_long_query() -> None:
    slip = "a:not b"
    within = failure(slip + " " * (LONGEST - len(slip)))
    beyond = failure(slip + " " * (LONGEST - len(slip) + 1))
    assert within is not None
    assert within.suggestion is not None
    assert beyond is not None
    assert beyond.suggestion is None
