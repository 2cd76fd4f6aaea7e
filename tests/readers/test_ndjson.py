"""Which lines of JSON are decoded: those that may hold what is wanted, and those that cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from sockwarden.readers.ecs import nested
from sockwarden.readers.ndjson import Search

PIECES = [b"docker.sock", b"crio.sock", b"podman.sock", b"balena", b"77"]
TEXTS = [*PIECES, b"other.sock", b".sock", b"\\u0041", b"}", b"{", b"} {", b" ", b"\r", b"\xff", b"x"]


def line_by_line(block: bytes, pieces: list[bytes]) -> list[bytes]:
    found = []
    for line in block.split(b"\n"):
        broken = line[:1] != b"{" or line.rstrip()[-1:] != b"}"
        if line.strip() and (broken or b"\\u" in line or any(piece in line for piece in pieces)):
            found.append(line)
    return found


objects = st.lists(st.sampled_from(TEXTS), max_size=3).map(lambda texts: b"{" + b",".join(texts) + b"}")
whole = st.lists(objects, min_size=1)
torn = st.lists(st.one_of(objects, objects, st.lists(st.sampled_from(TEXTS), max_size=3).map(b"".join)), min_size=1)


@settings(max_examples=500)
@example([b"{docker.sock}"])
@example([b"{}", b"", b"{}"])
@given(st.one_of(whole, torn))
def test_a_block_gives_the_lines_that_each_alone_would(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    found = list(Search(PIECES).lines(block))
    event(f"some left out: {len(found) < len(lines)}")
    assert found == line_by_line(block, PIECES)


@pytest.mark.parametrize("pieces", [None, [b""], [b"x", b""]])
def test_without_pieces_every_line_is_given(pieces: list[bytes] | None) -> None:
    assert list(Search(pieces).lines(b"{}\n \n{docker.sock}\ntorn\n")) == [b"{}", b"{docker.sock}", b"torn"]


@given(
    st.recursive(
        st.dictionaries(st.sampled_from(["a", "b", "a.b", ".", ""]), st.one_of(st.integers(), st.lists(st.none()))),
        lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b", "b.a.a"]), inner),
        max_leaves=8,
    )
)
def test_what_has_no_dotted_key_is_left_as_it_is(source: dict[str, Any]) -> None:
    unfolded = nested(source)
    event(f"as it was: {unfolded is source}")
    assert "." not in "".join(_keys(unfolded))
    assert (unfolded is source) is ("." not in "".join(_keys(source)))


def _keys(value: object) -> list[str]:
    return [name for key, inner in value.items() for name in (key, *_keys(inner))] if isinstance(value, dict) else []
