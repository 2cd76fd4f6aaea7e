"""What came last: no less than half of what it may hold, and no more than all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockwarden.recent import Recent


@given(st.lists(st.integers(0, 40)), st.integers(2, 20))
def test_the_last_are_there_and_no_more_than_it_may_hold(keys: list[int], most: int) -> None:
    recent: Recent[int] = Recent(most)
    for place, key in enumerate(keys):
        recent.add(key)
        last = list(dict.fromkeys(reversed(keys[: place + 1])))
        assert all(each in recent for each in last[: most // 2])
        held = {each for each in range(41) if each in recent}
        assert len(held) <= most
        assert held <= set(last)
