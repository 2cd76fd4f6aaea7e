"""Where judged accesses go: every one into the store, their alerts to every sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from sockwarden.document import Document, get
from sockwarden.pipeline.live import Judged
from sockwarden.sinks import AccessSink, Sink, TerminalGoneError
from sockwarden.store import Keeper


class Counts(msgspec.Struct):
    """What was delivered.

    own     accesses that sockwarden made itself
    folded  accesses that were not told one by one: each of these documents stands for so many, and is no access more
    requests  that were asked over connections
    alerts  of accesses, of requests, and of the watch's health
    """

    accesses: int = 0
    requests: int = 0
    own: int = 0
    folded: int = 0
    alerts: int = 0


class Delivery:
    """Delivers for one watch. One place that takes nothing keeps nothing from the others.

    unheard  standard output was the only sink, and nobody reads it any more
    """

    def __init__(self, sinks: Sequence[Sink], keeper: Keeper, tell: Callable[[str], None]) -> None:
        self.counts = Counts()
        self.keeper = keeper
        self.unheard = False
        self._sinks = list(sinks)
        self._tell = tell

    @property
    def undelivered(self) -> int:
        """Alerts that a sink did not take."""
        return sum(sink.lost for sink in self._sinks)

    def accesses(self, judged: Iterable[Judged]) -> None:
        """Accesses with the alerts that they make."""
        documents = []
        for access, alerts in judged:
            documents.append(access)
            folded = get(access, "sockwarden.loss.folded") or 0
            self.counts.folded += folded
            asked = get(access, "sockwarden.request") is not None
            self.counts.requests += asked
            self.counts.accesses += not folded and not asked
            self.counts.own += get(access, "sockwarden.own") is not None
            self.keeper.keep(access, alerts)
            self._alert(alerts)
        for sink in self._sinks:
            if documents and isinstance(sink, AccessSink):
                sink.accesses(documents)

    def alerts(self, alerts: Sequence[Document]) -> None:
        """Alerts that no access made."""
        self.keeper.keep_alerts(alerts)
        self._alert(alerts)

    def tick(self, now: float) -> None:
        """Writes what waits, tries again what failed, and tells what changed. now: time.monotonic."""
        self.keeper.flush(now)
        self._each(lambda sink: sink.tick(now))
        for note in (note for notes in (self.keeper.notes, *(sink.notes for sink in self._sinks)) for note in notes()):
            self._tell(note)

    def reopen(self) -> None:
        """Opens files anew: they were rotated."""
        self._each(lambda sink: sink.reopen())

    def close(self) -> None:
        """Delivers the rest."""
        for sink in self._sinks:
            with suppress(TerminalGoneError):
                sink.close()
        self.keeper.close()
        for note in (note for notes in (self.keeper.notes, *(sink.notes for sink in self._sinks)) for note in notes()):
            self._tell(note)

    def _alert(self, alerts: Sequence[Document]) -> None:
        self.counts.alerts += len(alerts)
        if alerts:
            self._each(lambda sink: sink.add(alerts))

    def _each(self, give: Callable[[Sink], None]) -> None:
        for sink in tuple(self._sinks):
            try:
                give(sink)
            except TerminalGoneError as error:
                self._sinks.remove(sink)
                self.unheard = not self._sinks
                self._tell(f"standard output takes no more alerts: {error}")
