from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockwarden.digests import Digests

# Few low bits, so that many want the same place. A first half of 0 counts as 1, which no two digests will meet.
DIGESTS = st.builds(
    lambda first, second: first.to_bytes(8, "little") + second.to_bytes(8, "little"),
    st.integers(1, 3) | st.integers(1020, 1030) | st.integers(1, 2**64 - 1),
    st.integers(0, 1) | st.integers(0, 2**64 - 1),
)


@given(st.lists(DIGESTS), st.lists(DIGESTS))
def test_it_holds_what_a_set_holds(added: list[bytes], asked: list[bytes]) -> None:
    met, expected = Digests(), set()
    for digest in added:
        assert met.add(digest) == (digest not in expected)
        expected.add(digest)
    assert len(met) == len(expected)
    assert [digest in met for digest in asked] == [digest in expected for digest in asked]
    assert all(digest in met for digest in added)


def test_it_grows() -> None:
    many = [number.to_bytes(16, "little") for number in range(1, 5000)]
    met = Digests()
    assert all(map(met.add, many))
    assert len(met) == len(many)
    assert all(digest in met for digest in many)
    assert (5000).to_bytes(16, "little") not in met
