"""Which windows of time a run of a rule looks at, and what it leaves uncovered. Pure; times in ms since the epoch.

The arithmetic is that of Kibana's detection engine (getRuleRangeTuples, Elastic Stack 9): a run that comes late looks
at up to four more windows, each one interval further back.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

MOST_CATCH_UP = 4


class Window(NamedTuple):
    """A stretch of time, both ends inclusive."""

    start: int
    end: int


class Plan(msgspec.Struct, frozen=True):
    """What one run does.

    windows  the oldest first; the last one is the run's own, the others catch up
    gaps     what neither these windows nor the ones before reach
    late     how much of the time since the last run the own window does not reach, in ms
    """

    windows: tuple[Window, ...]
    gaps: tuple[Window, ...] = ()
    late: int = 0


def plan(own: Window, interval: int, covered: int | None) -> Plan:
    """The windows of a run whose `from`..`to` is `own`.

    interval: of the rule, in ms. covered: up to when the last run looked, None for a rule that never ran.

    Kibana says (start - previous start) - (length of the window); with the same `from` and `to` in both runs that is
    what lies between the end of the last window and the start of this one. A clock that was set back makes it
    negative: nothing is caught up, since it was looked at already.
    """
    late = max(own.start - covered, 0) if covered is not None else 0
    count = min(-(-late // interval), MOST_CATCH_UP) if interval > 0 else 0
    windows = tuple(Window(own.start - back * interval, own.end - back * interval) for back in range(count, -1, -1))
    gaps = _uncovered(covered, windows) if covered is not None else ()
    return Plan(windows, gaps, late)


def without(stretch: Window, window: Window) -> tuple[Window, ...]:
    """What is left of a stretch when a window of it was looked at: before it and after it."""
    before = Window(stretch.start, min(stretch.end, window.start))
    after = Window(max(stretch.start, window.end), stretch.end)
    return tuple(rest for rest in (before, after) if rest.start < rest.end)


def pieces(stretch: Window, length: int) -> list[Window]:
    """A stretch in windows of at most this length, the oldest first; a shared end belongs to both, as everywhere."""
    starts = range(stretch.start, max(stretch.end, stretch.start + 1), length)
    return [Window(start, min(start + length, stretch.end)) for start in starts]


def _uncovered(covered: int, windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """Also between two windows: where a rule's window is shorter than its interval, Kibana has holes and is silent."""
    gaps = []
    for window in windows:
        if window.start > covered:
            gaps.append(Window(covered, window.start))
        covered = max(covered, window.end)
    return tuple(gaps)
