"""Learning: what a stream teaches of inodes, read by processes that may begin before anybody knows the rules.

What accesses will be looked for is told by the rules; until then those to any socket of the catalogue are noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

from sockwarden.errors import InputError
from sockwarden.literals import EVERYTHING, Wanted
from sockwarden.pipeline.processes import Work, batched
from sockwarden.readers import Format, Seen, Stream, Stretch, Tally, format_of, stretches_of
from sockwarden.sockets import Catalogue, Lesson, Lessons, lesson_in, packaged

Progress = Callable[[Stream, int, int], None]
"""Told the stream, the pass (1 learns, 2 judges) and the bytes on disk read so far."""


class _Taught(NamedTuple):
    """A batch of what a stretch teaches; an empty one ends it, and has what was seen of accesses."""

    lessons: tuple[Lesson, ...]
    seen: Seen | None
    failures: dict[str, InputError]


class Learning:
    """Reads an open stream of a form that teaches, from now on. A context manager, for those who may not ask what was
    found: it ends what reads.

    stretches  what it is read in, each with what was seen in it of accesses to what is wanted later
    """

    def __init__(
        self, stream: Stream, form: Format, catalogue: Catalogue, later: Wanted, processes: int | None = None
    ) -> None:
        self.stream, self.later = stream, later
        self.stretches: list[Stretch] = stretches_of(stream)
        of_catalogue = EVERYTHING if later.everything else catalogue.wanted

        def taught(stretch: Stretch) -> Iterator[_Taught]:
            documents = form.teach(stretch, of_catalogue, later, Tally()) if form.teach else ()
            for lessons in batched(lesson_in(document, catalogue) for document in documents):
                yield _Taught(lessons, stretch.seen, stream.failures)

        self._work = Work(self.stretches, taught, processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends what reads."""
        self._work.end()

    def lessons(self, progress: Progress) -> Lessons:
        """What it teaches, once it is read."""
        lessons = Lessons()
        self.stream.on_read = lambda done: progress(self.stream, 1, done)
        with self._work as work:
            for stretch, part in work:
                self.stream.failures |= part.failures
                stretch.seen = part.seen
                for lesson in part.lessons:
                    lessons.learn(lesson)
                if not part.lessons and stretch.end is not None:
                    progress(self.stream, 1, stretch.end)
        return lessons


def begun(streams: Sequence[Stream]) -> Learning | None:
    """The first of streams, where its reading can begin; what is wrong with it is told to who reads it."""
    if not streams or not streams[0].open().parts:
        return None
    try:
        form = format_of(streams[0])
    except InputError:
        return None
    catalogue = packaged()
    return Learning(streams[0], form, catalogue, catalogue.wanted) if form.teach else None
