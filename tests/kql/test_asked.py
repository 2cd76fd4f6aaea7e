"""Which fields an answer depends on, and what is asked of them."""

from __future__ import annotations

import pytest

from sockwarden.kql import depends_on, leaves_on, parse


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


@pytest.mark.parametrize(
    ("query", "leaves"),
    [
        ("a.b:x", ["a.b:x"]),
        ("not (c:y and a.b > 5) or z:(p or q*)", ["a.b > 5", "z:p", "z:q*"]),
        ("c:y", []),
        ("a.b:x and a.b.c:y", None),
        ("a:*", None),
        ("a.b:x and x", None),
        ("*.b:x", None),
        ("a:{b:x}", None),
        ("a.b:{c:x}", None),
        ("", None),
    ],
)
def test_what_is_asked_of_fields(query: str, leaves: list[str] | None) -> None:
    found = leaves_on(parse(query), ("a.b", "z"))
    expected = None if leaves is None else [parse(leaf) for leaf in leaves]
    assert (found and sorted(found, key=str)) == (expected and sorted(expected, key=str))
    assert (found is None) is (expected is None)
