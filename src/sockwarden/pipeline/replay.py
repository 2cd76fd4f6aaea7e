"""Recorded events through identity: what a stream teaches of inodes first, then its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockwarden.document import Document
from sockwarden.enrich import name_component
from sockwarden.literals import Wanted
from sockwarden.readers import Format, Stream, Tally, stretches_of
from sockwarden.sockets import Catalogue, Identities, Inventory, Lessons, Resolver, RuntimeSocket

Progress = Callable[[Stream, int, int], None]
"""Told the stream, the pass (1 learns, 2 judges) and the bytes on disk read so far."""


class Replay:
    """Replays streams for one set of detections.

    wanted   what documents must contain
    known    what the host has, beside what the stream teaches
    """

    def __init__(
        self, catalogue: Catalogue, wanted: Wanted, *, literal: bool = False, known: Inventory | None = None
    ) -> None:
        self._catalogue = catalogue
        self._wanted = wanted
        self._literal = literal
        self._known = known
        self.tally = Tally()

    def documents(self, stream: Stream, form: Format, progress: Progress = lambda *_: None) -> Iterator[Document]:
        """The documents of an open stream, resolved, each with the component its program claims to be."""
        lessons = Lessons(self._catalogue)
        wanted = self._wanted
        if form.teach and not self._literal:
            stream.on_read = lambda done: progress(stream, 1, done)
            for stretch in stretches_of(stream):
                for document in form.teach(stretch, self._catalogue.wanted, Tally()):
                    lessons.observe(document)
            wanted |= Wanted(inodes=lessons.taught(wanted.addresses))
        identities: Identities = lessons
        if self._known:
            identities = _Together(lessons, self._known)
            wanted |= self._known.wanted
        stream.on_read = lambda done: progress(stream, 2, done)
        resolver = Resolver(self._catalogue, identities, literal=self._literal)
        for stretch in stretches_of(stream):
            for document in form.read(stretch, wanted, self.tally):
                resolver.resolve(document)
                name_component(document)
                yield document


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
