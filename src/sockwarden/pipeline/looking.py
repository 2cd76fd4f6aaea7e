"""Looks at the host beside the source: from time to time, and never so that accesses wait for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from sockwarden.pipeline.source import Looker, Told
from sockwarden.sockets.inventory import Inventory

_SHARE = 20
"""A look is followed by a pause of so many times what it took: how much there is to look at is for others to decide."""


class Looking:
    """The lookers of a watch. What they find waits here until it is taken; no look before that is empty."""

    def __init__(self, lookers: Sequence[Looker]) -> None:
        self._due = [(0.0, looker) for looker in lookers]
        self._found: deque[Told] = deque()

    @property
    def waits(self) -> bool:
        """Whether something was found that has not been taken."""
        return bool(self._found)

    @property
    def limits(self) -> list[str]:
        """What could not be looked at the last time, a sentence each."""
        return [limit for _, looker in self._due for limit in looker.limits]

    def look(self, now: float, inventory: Inventory) -> None:
        """Lets the looker look that is most overdue, if any is. now: time.monotonic."""
        if self._found or not self._due:
            return
        due, looker = min(self._due, key=lambda one: one[0])
        if now < due:
            return
        began = time.monotonic()
        self._found.extend(looker.look(inventory))
        ended = time.monotonic()
        pause = max(looker.seconds, _SHARE * (ended - began))
        self._due = [(ended + pause, one) if one is looker else (at, one) for at, one in self._due]

    def take(self, end: float) -> Iterator[Told]:
        """What was found, until a time of time.monotonic."""
        while self._found and time.monotonic() < end:
            yield self._found.popleft()
