"""How it stands with the decoder, from what it tells: whether it is at work, and what is to be said where it is not."""

from __future__ import annotations

from sockwarden.health import Trouble
from sockwarden.pipeline.decoding import wire

STALLED_SECONDS = 5.0
"""Without a word."""


class Standing:
    """What was heard so far.

    last       its last beat
    failed     how it failed, where that was not told yet; empty otherwise
    """

    def __init__(self) -> None:
        self.last = wire.Beat(0, 0, 0, 0)
        self.failed = ""
        self._heard = 0.0
        self._ended = self._told_of = 0
        self._known: wire.Failed | None = None
        """What failed since the last beat: it may fail again and again, and is told once."""
        self._begun = False

    def hear(self, message: wire.Message, now: float) -> None:
        """Takes something that it told. now: time.monotonic."""
        self._heard = now
        if isinstance(message, wire.Beat):
            if message.worker != self.last.worker:
                self._ended = self.last.worker
            self.last, self._known = message, None
        elif isinstance(message, wire.Failed):
            self._told_of = self.last.worker
            if message != self._known:
                self._known, self.failed, self._begun = message, message.what, message.begun

    def stalls(self, now: float) -> bool:
        """Whether it has said nothing for too long; asked again, that much more has to pass."""
        self._heard = self._heard or now
        if now - self._heard < STALLED_SECONDS:
            return False
        self._heard = now
        return True

    def troubles(self, *, stalls: bool) -> list[Trouble]:
        """What is to be said now. stalls: whether it is made to begin anew for having said nothing."""
        if self.failed:
            why = f"the decoder failed ({self.failed}) and began anew"
            if not self._begun:
                why = f"the decoder cannot begin ({self.failed})"
            self.failed = ""
        elif stalls:
            why, self._told_of = (
                f"the decoder said nothing for {STALLED_SECONDS:.0f} s, and begins anew",
                self.last.worker,
            )
        elif self._ended and self._ended != self._told_of:
            why, self._told_of = "the decoder was killed and began anew", self._ended
        else:
            return []
        return [not_read(why)]


def not_read(why: str) -> Trouble:
    return Trouble("requests-not-read", f"{why}; what was asked meanwhile is unknown, accesses are told as ever")
