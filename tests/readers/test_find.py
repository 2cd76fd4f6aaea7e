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


@given(st.text("abc\n", max_size=60).map(str.encode), st.integers(0, 60), st.integers(0, 60), st.integers(1, 9))
def test_counts_are_of_what_begins_in_between(text: bytes, begin: int, end: int, block: int) -> None:
    begin, end = sorted((min(begin, len(text)), min(end, len(text))))
    pieces = (b"\n", b"ab", b"\nab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find, "_BLOCK", block)
        found = find.counts(bytearray(text), pieces, begin, end)
    assert found == [sum(text.startswith(piece, at) for at in range(begin, end)) for piece in pieces]
