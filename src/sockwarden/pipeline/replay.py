"""Recorded events through identity: what a stream teaches of inodes first, then its documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sockwarden.document import Document
from sockwarden.enrich import name_component
from sockwarden.literals import Wanted
from sockwarden.pipeline.learning import Learning, Progress
from sockwarden.readers import Format, Stream, Stretch, Tally, stretches_of
from sockwarden.sockets import Catalogue, Identities, Lessons, Resolver, RuntimeSocket

if TYPE_CHECKING:
    from sockwarden.sockets.inventory import Inventory


class Learned(NamedTuple):
    """A stream that has taught what it can.

    stretches  what it is read in
    wanted     what its documents must contain, with the inodes that it taught
    lessons    what it taught
    """

    form: Format
    stretches: Sequence[Stretch]
    wanted: Wanted
    resolver: Resolver
    lessons: Lessons

    def documents(self, stretch: Stretch, tally: Tally) -> Iterator[Document]:
        """The documents of a stretch, resolved, each with the component its program claims to be."""
        return map(self.resolved, self.form.read(stretch, self.wanted, tally))

    def resolved(self, document: Document) -> Document:
        """Fills one in place."""
        self.resolver.resolve(document)
        name_component(document)
        return document


class Replay:
    """Replays streams for one set of detections.

    wanted     what documents must contain; where that is everything, every event teaches as well
    known      what the host has, beside what the stream teaches
    processes  how many read a stream, None for as many as there are processors
    """

    def __init__(
        self,
        catalogue: Catalogue,
        wanted: Wanted,
        *,
        literal: bool = False,
        known: Inventory | None = None,
        processes: int | None = 1,
    ) -> None:
        self._catalogue = catalogue
        self._wanted = wanted
        self._literal = literal
        self._known = known
        self._processes = processes

    def documents(self, stream: Stream, form: Format, tally: Tally | None = None) -> Iterator[Document]:
        """The documents of an open stream."""
        learned = self.learn(stream, form)
        for stretch in learned.stretches:
            yield from learned.documents(stretch, tally or Tally())

    def learn(
        self, stream: Stream, form: Format, progress: Progress = lambda *_: None, begun: Learning | None = None
    ) -> Learned:
        """Reads an open stream for what it teaches, or takes what others have begun to read of it."""
        wanted = self._wanted | self._known.wanted if self._known else self._wanted
        lessons, stretches = Lessons(), stretches_of(stream)
        if form.teach and not self._literal:
            if begun and wanted.everything:
                begun.end()
                begun = None
            if not begun:
                begun = Learning(stream, form, self._catalogue, wanted, self._processes)
            lessons, stretches = begun.lessons(progress), begun.stretches
            if begun.later != wanted:
                for stretch in stretches:
                    stretch.seen = None
            wanted |= Wanted(inodes=lessons.taught(wanted.addresses))
        identities: Identities = _Together(lessons, self._known) if self._known else lessons
        return Learned(form, stretches, wanted, Resolver(self._catalogue, identities, literal=self._literal), lessons)


class _Together:
    """What a log teaches and what the host has, as one. Names and listeners are the host's to tell."""

    proven = False

    def __init__(self, lessons: Lessons, inventory: Inventory) -> None:
        self._lessons = lessons
        self.named = inventory.named
        self.listener_of = inventory.listener_of
        self._inventory = inventory

    def sockets_of(self, document: Document) -> set[RuntimeSocket]:
        """The sockets that either finds."""
        return self._lessons.sockets_of(document) | self._inventory.sockets_of(document)
