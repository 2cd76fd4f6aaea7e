"""Targets as Go's net/url and gorilla/mux see them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.requests.target import path_of

with (Path(__file__).parent / "targets.tsv").open(encoding="utf-8", newline="") as file:
    CASES = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["target"])
def test_target(case: dict[str, str]) -> None:
    target = path_of(case["target"])
    assert target.path.replace("\0", "\\x00") == case["path"]
    assert target.version == case["version"]
    assert " ".join(f"{name}={value}" for name, value in target.query) == case["query"]
    assert target.valid == (case["valid"] != "no")
    assert target.query_valid == (case["valid"] != "query")


def test_the_first_value_counts() -> None:
    target = path_of("/x?a=1&b=&a=2")
    assert [target.first(name) for name in "abc"] == ["1", "", ""]


@given(st.text(st.characters(max_codepoint=255)))
def test_any_target_has_a_path_in_its_clean_form(text: str) -> None:
    target = path_of("/" + text)
    if target.valid:
        assert target.path.startswith("/")
        assert {"", ".", ".."}.isdisjoint(target.path.strip("/").split("/")) or target.path == "/"
    else:
        assert target.path == "/" + text
