"""Windows, catch-up and gaps: by the reference's formula, and no instant is lost without a word."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.detect.scheduled.windows import MOST_CATCH_UP, Plan, Window, pieces, plan, without

MINUTE = 60_000
S = 1_795_000_000_000


def run(start: int, previous: int | None, *, look_back: int = 9, to: int = 0, interval: int = 5) -> Plan:
    """A run of a rule with `from`: now-9m, `to`: now, every 5 minutes; times in minutes."""
    own = Window(S + (start - look_back) * MINUTE, S + (start + to) * MINUTE)
    return plan(own, interval * MINUTE, None if previous is None else S + (previous + to) * MINUTE)


def minutes(windows: tuple[Window, ...]) -> list[tuple[int, int]]:
    return [((one.start - S) // MINUTE, (one.end - S) // MINUTE) for one in windows]


@pytest.mark.parametrize(
    ("start", "previous", "windows", "gaps"),
    [
        (100, None, [(91, 100)], []),
        (105, 100, [(96, 105)], []),
        (109, 100, [(100, 109)], []),
        (110, 100, [(96, 105), (101, 110)], []),
        (129, 100, [(100, 109), (105, 114), (110, 119), (115, 124), (120, 129)], []),
        (130, 100, [(101, 110), (106, 115), (111, 120), (116, 125), (121, 130)], [(100, 101)]),
        (1000, 100, [(971, 980), (976, 985), (981, 990), (986, 995), (991, 1000)], [(100, 971)]),
        (40, 100, [(31, 40)], []),
        (45, 40, [(36, 45)], []),
    ],
)
def test_a_run_after_a_run(
    start: int, previous: int | None, windows: list[tuple[int, int]], gaps: list[tuple[int, int]]
) -> None:
    planned = run(start, previous)
    assert minutes(planned.windows) == windows
    assert minutes(planned.gaps) == gaps


def test_a_window_that_ends_before_now() -> None:
    planned = run(130, 100, look_back=15, to=-5)
    assert minutes(planned.windows)[-1] == (115, 125)
    assert minutes(planned.windows)[0] == (95, 105)
    assert planned.gaps == ()


def test_holes_of_a_window_shorter_than_the_interval_are_gaps() -> None:
    assert minutes(run(105, 100, look_back=3).gaps) == [(100, 102)]
    assert minutes(run(115, 100, look_back=3).gaps) == [(100, 102), (105, 107), (110, 112)]


@given(
    length=st.integers(1, 60),
    interval=st.integers(1, 60),
    previous=st.integers(0, 100_000),
    elapsed=st.integers(-1000, 100_000),
)
def test_it_is_the_formula_of_the_reference(length: int, interval: int, previous: int, elapsed: int) -> None:
    start = previous + elapsed
    planned = plan(Window(start - length, start), interval, previous)
    gap = (start - previous) - length
    catch_up = 0 if gap <= 0 else min(math.ceil(gap / interval), 4)
    remaining = max(gap - catch_up * interval, 0)
    assert len(planned.windows) == catch_up + 1 <= MOST_CATCH_UP + 1
    assert planned.windows == tuple(
        Window(start - length - back * interval, start - back * interval) for back in range(catch_up, -1, -1)
    )
    if remaining:
        assert planned.gaps[0] == Window(previous, previous + remaining)
    if length >= interval:
        assert sum(one.end - one.start for one in planned.gaps) == remaining


@given(
    length=st.integers(1, 40),
    lag=st.integers(0, 10),
    interval=st.integers(1, 30),
    steps=st.lists(st.integers(-50, 400), min_size=1, max_size=20),
)
def test_every_instant_is_looked_at_or_in_a_gap(length: int, lag: int, interval: int, steps: list[int]) -> None:
    told: list[Window] = []
    start = 10_000
    covered: int | None = None
    first = start - lag - length
    for step in (0, *steps):
        start += step
        own = Window(start - lag - length, start - lag)
        planned = plan(own, interval, covered)
        told += [*planned.windows, *planned.gaps]
        covered = own.end
    reached = first
    for one in sorted(told):
        if one.end >= first:
            assert one.start <= reached
            reached = max(reached, one.end)
    assert reached == max(one.end for one in told)


@given(
    stretch=st.tuples(st.integers(0, 50), st.integers(1, 50)), window=st.tuples(st.integers(0, 99), st.integers(0, 60))
)
def test_what_is_left_of_a_gap(stretch: tuple[int, int], window: tuple[int, int]) -> None:
    gap, looked = Window(stretch[0], sum(stretch)), Window(window[0], sum(window))
    rest = without(gap, looked)
    inside = {second for second in range(gap.start, gap.end) if not looked.start <= second < looked.end}
    assert {second for one in rest for second in range(one.start, one.end)} == inside


@given(start=st.integers(0, 100), length=st.integers(0, 300), piece=st.integers(1, 40))
def test_pieces_are_the_whole(start: int, length: int, piece: int) -> None:
    cut = pieces(Window(start, start + length), piece)
    assert (cut[0].start, cut[-1].end) == (start, start + length)
    assert all(before.end == after.start for before, after in pairwise(cut))
    assert all(one.end - one.start <= piece for one in cut)


def test_a_change_to_summer_time_is_none_of_its_business() -> None:
    """2026-03-29 01:00 UTC, when Europe's clocks skip an hour: five minutes stay five minutes."""
    before = 1_774_745_880_000
    planned = plan(Window(before + 5 * MINUTE - 9 * MINUTE, before + 5 * MINUTE), 5 * MINUTE, before)
    assert (len(planned.windows), planned.gaps) == (1, ())
