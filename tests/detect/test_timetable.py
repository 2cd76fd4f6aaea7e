"""A rule keeps its phase, whatever happens between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockwarden.detect.scheduled import Timetable


def table(**intervals: float) -> Timetable:
    made = Timetable()
    made.set(intervals, dict.fromkeys(intervals, 100.0))
    return made


def test_the_rule_that_waits_longest_comes_first() -> None:
    made = table(a=300, b=60)
    made.ran("b", 100)
    assert made.due(159) == "a"
    assert made.due(400) == "a"
    made.ran("a", 400)
    assert made.due(400) == "b"


def test_nothing_is_due_before_its_time() -> None:
    made = table(a=300)
    assert made.due(99.9) is None
    assert made.due(100) == "a"
    assert Timetable().due(1e9) is None


def test_times_that_passed_are_left_out() -> None:
    made = table(a=300)
    made.ran("a", 1350)
    assert made.due(1599) is None
    assert made.due(1600) == "a"


@given(interval=st.integers(1, 1000), lates=st.lists(st.integers(0, 5000), max_size=20))
def test_a_rule_that_is_late_does_not_drift(interval: int, lates: list[int]) -> None:
    made = table(a=interval)
    now = 100
    for late in lates:
        while made.due(now) is None:
            now += 1
        assert (now - 100) % interval == 0
        now += late
        made.ran("a", now)
        assert made.due(now) is None


def test_a_change_leaves_the_others_alone() -> None:
    made = table(a=300, b=60, c=60)
    made.ran("a", 100)
    made.set({"a": 300, "b": 90, "d": 10}, {"a": 0.0, "b": 500.0, "d": 600.0})
    assert made.due(399) is None
    assert made.due(400) == "a"
    made.ran("a", 400)
    assert [made.due(500), made.due(499)] == ["b", None]
    made.ran("b", 590)
    assert made.due(599) is None
    assert made.due(600) == "d"
