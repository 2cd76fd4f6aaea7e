"""Who could give a cgroup its name, by this machine's own tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.enrich.delegation import made_by_root


@pytest.mark.parametrize(
    ("above", "by_root"),
    [
        ("0::", True),
        ("0::/nowhere/at/all", False),
        ("1:name=nothing:", False),
        ("0::/..", False),
        ("0::/user.slice/user-1000.slice/user@1000.service/user.slice", False),
        ("", True),
        ("0::/\0", False),
    ],
)
def test_made_by_root(above: str, by_root: bool) -> None:
    assert made_by_root(above) is by_root


@given(st.text(alphabet="a0:/-.\n\\x@", max_size=300))
def test_anything_is_taken(above: str) -> None:
    assert isinstance(made_by_root(above), bool)
