"""What is written as TOML is read back the same, and its places can be told."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sockwarden.rules.tomltext import MAX_DEPTH, UnwritableError, refusal_of, to_toml
from sockwarden.toml_positions import positions

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("'\"\\\n\r\t ab#=[]{}", max_size=12)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
@settings(max_examples=400)
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    text = to_toml(document)
    assert tomllib.loads(text) == document
    spans = positions(text)
    assert all((key,) in spans for key in document)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", '"plain"'),
        ('say "x"', "'say \"x\"'"),
        ('it\'s "x"', '"it\'s \\"x\\""'),
        ("a\nb\n", "'''\na\nb\n'''"),
        ("a\n'''", "\"a\\n'''\""),
        ("a\r\nb", '"a\\r\\nb"'),
        ([1, True, "x"], '[1, true, "x"]'),
        ([], "[]"),
        (1e16, "1e+16"),
    ],
)
def test_forms(value: object, expected: str) -> None:
    assert to_toml({"key": value}) == f"key = {expected}\n"


def test_tables_stand_under_headers_after_plain_keys() -> None:
    document = {"a": {"x": 1, "b c": {"y": [{"z": 1}, {}]}}, "k": 2}
    assert to_toml(document).split("\n") == [
        "k = 2",
        "",
        "[a]",
        "x = 1",
        "",
        '[a."b c"]',
        "",
        '[[a."b c".y]]',
        "z = 1",
        "",
        '[[a."b c".y]]',
        "",
    ]


DEEP: list[Any] = []
for _ in range(MAX_DEPTH + 2):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [None, [None], {"a": None}, "\ud800", 2**63, float("nan"), float("inf"), DEEP])
def test_what_toml_cannot_hold_is_refused(value: object) -> None:
    assert refusal_of(value)
    with pytest.raises(UnwritableError):
        to_toml({"key": value})
