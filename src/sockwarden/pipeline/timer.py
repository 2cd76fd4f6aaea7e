"""What is done from time to time, by who asks for the time anyway."""

from __future__ import annotations

from collections.abc import Callable


class Timer:
    """Runs something every so many seconds, first at once."""

    def __init__(self, period: float, run: Callable[[], None]) -> None:
        self._period = period
        self._run = run
        self._due = 0.0

    def turn(self, now: float) -> None:
        """Runs it if it is due. now: time.monotonic."""
        if now >= self._due:
            self._due = now + self._period
            self._run()
