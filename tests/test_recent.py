"""What came last: no less than half of what it may hold, and no more than all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.digests import Digests
from sockwarden.recent import Recent

# To Digests a first half of 0 is as 1.
KEYS = [number.to_bytes(16, "little") for number in range(1, 41)]


@pytest.mark.parametrize("empty", [set, Digests])
@given(keys=st.lists(st.sampled_from(KEYS)), most=st.integers(2, 20))
def test_the_last_are_there_and_no_more_than_it_may_hold(
    empty: Callable[[], Any], keys: list[bytes], most: int
) -> None:
    recent: Recent[bytes] = Recent(most, empty)
    taken: list[bytes] = []
    for key in keys:
        is_new = key not in recent
        assert recent.add(key) == is_new
        taken += [key] * is_new
        assert all(each in recent for each in taken[-(most // 2) :])
        held = {each for each in KEYS if each in recent}
        assert len(held) <= most
        assert held <= set(taken)
