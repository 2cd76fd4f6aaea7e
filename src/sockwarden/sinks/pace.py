"""How many messages a person is sent: no more than so many in any minute."""

from __future__ import annotations

from collections import deque

MINUTE = 60.0
_SOON = 5.0


class Pace:
    """Counts messages; times are seconds of a clock that is never set back.

    folding  the limit was reached: the next message tells of all that came meanwhile
    """

    def __init__(self, per_minute: int) -> None:
        self.folding = False
        self._per_minute = per_minute
        self._free_at = 0.0
        self._sent: deque[float] = deque()

    def pause(self, now: float) -> float:
        """Seconds until the next message may go."""
        while self._sent and now - self._sent[0] >= MINUTE:
            self._sent.popleft()
        if len(self._sent) < self._per_minute:
            # What comes long after the limit was reached is told one by one again.
            self.folding = self.folding and now < self._free_at + _SOON
            return 0.0
        self.folding = True
        self._free_at = self._sent[0] + MINUTE
        return self._free_at - now

    def sent(self, now: float, *, more: bool = False) -> None:
        """A message went; `more`: it could not tell of all that waits."""
        self.folding = self.folding and more
        self._free_at = now
        self._sent.append(now)
