"""How much of the decoder's time each client may take: what is slow to read must not keep others from being read."""

from __future__ import annotations

from collections import OrderedDict

BURST = 4.0
"""Seconds that a client may take at once."""
REFILL = 0.5
"""Of each second that goes by, how much it may take in the long run."""
_MOST_CLIENTS = 4096


class Shares:
    """By the pid of who connected. Times in seconds of one clock."""

    def __init__(self) -> None:
        self._left: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def take(self, client: int, seconds: float, now: float) -> bool:
        """Counts time that was taken for a client: whether it still has some."""
        left, since = self._left.get(client, (BURST, now))
        left = min(BURST, left + (now - since) * REFILL) - seconds
        self._left[client] = left, now
        self._left.move_to_end(client)
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return left > 0
