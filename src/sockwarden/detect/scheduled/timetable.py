"""When each rule is due. Pure; times are seconds of a clock that is never set back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class _Entry(msgspec.Struct):
    due: float
    interval: float


class Timetable:
    """Rules by their next time. A rule keeps its phase: one that was late, or took long, is due when it would have been
    due anyway; times that passed meanwhile are left out, since the next run catches up.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def set(self, intervals: Mapping[str, float], first: Mapping[str, float]) -> None:
        """Makes these the rules, by their ids; one that was here with the same interval keeps its time.

        intervals: in seconds. first: when a rule is due that is new, or whose interval changed.
        """
        before = self._entries
        self._entries = {
            rule: before[rule]
            if rule in before and before[rule].interval == interval
            else _Entry(first[rule], interval)
            for rule, interval in intervals.items()
        }

    def due(self, now: float) -> str | None:
        """The rule that waits longest; None when none is due."""
        rule = min(self._entries, key=lambda rule: self._entries[rule].due, default=None)
        return rule if rule is not None and self._entries[rule].due <= now else None

    def ran(self, rule: str, now: float) -> None:
        """A run of it has begun and ended."""
        entry = self._entries[rule]
        passed = max((now - entry.due) // entry.interval, 0)
        entry.due += entry.interval * (passed + 1)

    def next(self) -> float | None:
        """When the next rule is due."""
        return min((entry.due for entry in self._entries.values()), default=None)
