"""From the outbox to the sinks, each at its own pace."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from sockwarden.sinks import Sink, TerminalGoneError
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.store import Store

MOST_AT_ONCE = 500
"""Alerts given to one sink before others, and signals, have their turn."""
_BATCH = 50
RETRY_SECONDS = 10.0


class Outgoing:
    """Delivers what the outbox holds.

    unheard  standard output was the only sink, and nobody reads it any more
    """

    def __init__(self, store: Store, sinks: Mapping[str, Sink], tell: Callable[[str], None]) -> None:
        self.unheard = False
        self._outbox = store.outbox
        self._sinks = dict(sinks)
        self._tell = tell
        self._retry_at = dict.fromkeys(sinks, float("-inf"))
        self._failed: dict[str, int] = {}
        for name in self._outbox.join(list(sinks), _now_ms()):
            self._tell(f"{name}: no run has had this sink for a week; what still waited for it is forgotten")

    def waiting(self) -> int:
        """Alerts that the slowest sink has not taken yet."""
        return max(map(self._outbox.count, self._sinks), default=0)

    def deliver(self, now: float) -> bool:
        """Gives each sink what waits for it, up to MOST_AT_ONCE; whether there may be more. now: time.monotonic."""
        more = False
        for name, sink in tuple(self._sinks.items()):
            try:
                if now >= self._retry_at[name]:
                    more |= self._deliver(name, sink, now)
                sink.tick(now)
            except TerminalGoneError as error:
                del self._sinks[name]
                self.unheard = not self._sinks
                self._tell(f"standard output takes no more alerts: {error}")
                continue
            for note in sink.notes():
                self._tell(note)
        return more

    def reopen(self) -> None:
        """Opens files anew: they were rotated."""
        for sink in self._sinks.values():
            sink.reopen()

    def close(self) -> None:
        """Lets go; what waits is delivered by the next run."""
        for sink in self._sinks.values():
            with suppress(TerminalGoneError):
                sink.close()
            for note in sink.notes():
                self._tell(note)

    def _deliver(self, name: str, sink: Sink, now: float) -> bool:
        for _ in range(MOST_AT_ONCE // _BATCH):
            batch = self._outbox.waiting(name, _BATCH)
            for number, alert in batch:
                before = sink.lost
                if alert is not None:
                    sink.add([alert])
                if sink.lost > before and not (isinstance(sink, SpooledSink) and self._failed.get(name) == number):
                    # It keeps its place in the outbox, and is tried again. What a spool does not take twice it never
                    # will: a full one knows it by now, so it is too large.
                    self._retry_at[name] = now + RETRY_SECONDS
                    self._failed[name] = number
                    return False
                self._outbox.delivered(name, number, _now_ms())
            if len(batch) < _BATCH:
                return False
        return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
