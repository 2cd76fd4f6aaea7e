"""Which fields an answer depends on."""

from __future__ import annotations

import pytest

from sockwarden.kql import depends_on, parse


@pytest.mark.parametrize(
    ("query", "depends"),
    [
        ("a.b:x", True),
        ("a.b.c:x", True),
        ("a.b.text:x", True),
        ("a:*", True),
        ("not (c:y and a.b > 5)", True),
        ("a:{b:x}", True),
        ("x", True),
        ("*.b:x", True),
        ("", True),
        ("a.bc:x", False),
        ("a.c:x and ab:*", False),
        ("c:{a.b:x}", False),
    ],
)
def test_an_answer_depends_on_a_field(query: str, depends: bool) -> None:
    assert depends_on(parse(query), ("a.b", "z")) is depends
