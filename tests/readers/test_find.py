"""Both searches give the same answers: of the SIMD library and of Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.readers import find


@given(
    st.text("ab\n", max_size=300).map(str.encode), st.text("ab\n", min_size=1, max_size=4).map(str.encode), st.data()
)
def test_searches_agree(text: bytes, piece: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    for form in (text, bytearray(text)):
        assert find.find(form, piece, begin, end) == form.find(piece, begin, end)
        if not any(piece.startswith(piece[-size:]) for size in range(1, len(piece))):
            assert find.count(form, piece, begin, end) == form.count(piece, begin, end)


def test_simd_is_what_is_used_where_it_is_there() -> None:
    stringzilla = pytest.importorskip("stringzilla")
    assert find.find is stringzilla.find
