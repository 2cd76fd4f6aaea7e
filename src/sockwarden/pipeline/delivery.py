"""Where judged accesses and requests go: every one into the store and its story, their alerts to the sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from sockwarden.document import Document, get
from sockwarden.pipeline.gap import boot_id
from sockwarden.pipeline.live import Judged
from sockwarden.pipeline.notifying import Notify, Notifying
from sockwarden.sinks import AccessSink, Sink, StorySink, TerminalGoneError
from sockwarden.store import Keeper
from sockwarden.stories import Stories, Told, is_request


class Counts(msgspec.Struct):
    """What was delivered.

    own     accesses that sockwarden made itself
    folded  accesses that were not told one by one: each of these documents stands for so many, and is no access more
    requests  what was asked over connections
    alerts  of accesses, of requests and of the watch's health
    raised  of those, the ones that became more severe
    """

    accesses: int = 0
    own: int = 0
    folded: int = 0
    requests: int = 0
    alerts: int = 0
    raised: int = 0


class Delivery:
    """Delivers for one watch. One place that takes nothing keeps nothing from the others.

    stories    which it tells
    notifying  what of all that reaches the sinks that call for a person
    unheard    standard output was the only sink, and nobody reads it any more
    """

    def __init__(
        self, sinks: Sequence[Sink], keeper: Keeper, tell: Callable[[str], None], notify: Notify = "graded"
    ) -> None:
        self.counts = Counts()
        self.keeper = keeper
        self.stories = Stories(boot_id())
        self.notifying = Notifying(notify)
        self.unheard = False
        self._sinks = list(sinks)
        # Asked of each sink once: Python looks at every method of a protocol each time.
        self._access_sinks = [sink for sink in sinks if isinstance(sink, AccessSink)]
        self._story_sinks = {id(sink): sink for sink in sinks if isinstance(sink, StorySink)}
        self._tell = tell

    @property
    def notifies(self) -> bool:
        """Whether any sink calls for a person."""
        return any(sink.notifies for sink in self._sinks)

    @property
    def undelivered(self) -> int:
        """Alerts that a sink did not take, and stories that were not kept."""
        return sum(sink.lost for sink in self._sinks) + self.stories.lost

    def reads_requests(self, reads: bool) -> None:
        """Says whether what is asked over connections is read, from now on: only then can stories be graded by it."""
        self.stories.reads = self.notifying.reads = reads

    def accesses(self, judged: Iterable[Judged]) -> None:
        """Accesses and requests with the alerts that they make."""
        documents = []
        for document, alerts in judged:
            documents.append(document)
            self._count(document)
            told = self.stories.take(document, alerts, time.monotonic())
            if told is None:
                self.keeper.keep(document, alerts)
                self._alert(alerts)
            else:
                self.keeper.keep(document, told.alerts, told.raised)
                self._tell_story(told)
        for sink in self._access_sinks if documents else ():
            sink.accesses(documents)

    def alerts(self, alerts: Sequence[Document]) -> None:
        """Alerts that no access made."""
        self.keeper.keep_alerts(alerts)
        self._alert(alerts)

    def tick(self, now: float) -> None:
        """Writes what waits, tries again what failed, and tells what changed. now: time.monotonic."""
        for told in self.stories.tick(now):
            self._tell_story(told)
        self.keeper.keep_stories(self.stories.changed(now))
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
        self.keeper.keep_stories(self.stories.changed())
        self.keeper.close()
        for note in (note for notes in (self.keeper.notes, *(sink.notes for sink in self._sinks)) for note in notes()):
            self._tell(note)

    def _count(self, document: Document) -> None:
        folded = get(document, "sockwarden.loss.folded") or 0
        self.counts.folded += folded
        if is_request(document):
            self.counts.requests += 1
        else:
            self.counts.accesses += not folded
        self.counts.own += get(document, "sockwarden.own") is not None

    def _alert(self, alerts: Sequence[Document]) -> None:
        self.counts.alerts += len(alerts)
        if alerts:
            self._each(lambda sink: sink.add(alerts))

    def _tell_story(self, told: Told) -> None:
        self.counts.alerts += len(told.alerts)
        self.counts.raised += len(told.raised)
        chosen = self.notifying.chosen(told)

        def give(sink: Sink) -> None:
            # Those of one access, and of others before: a sink takes what one access caused together.
            for alerts in (chosen,) if sink.notifies else (told.alerts, told.raised):
                if alerts:
                    sink.add(alerts)
            if shown := self._story_sinks.get(id(sink)):
                shown.story(told.story, raised=told.raised)

        self._each(give)

    def _each(self, give: Callable[[Sink], None]) -> None:
        for sink in tuple(self._sinks):
            try:
                give(sink)
            except TerminalGoneError as error:
                self._sinks.remove(sink)
                self.unheard = not self._sinks
                self._tell(f"standard output takes no more alerts: {error}")
