"""What a run needs of a sink, and how a sink goes on when its place does not take what it is given."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sockwarden.document import Document
from sockwarden.sinks.escape import escape

if TYPE_CHECKING:
    from sockwarden.stories import Story

RETRY_SECONDS = 10.0


class TerminalGoneError(Exception):
    """Nobody reads standard output any more: the terminal was closed, or the reader of the pipe ended."""


class Sink(Protocol):
    """Where the alerts of a run go. Times are seconds of a clock that is never set back (time.monotonic).

    lost: alerts that could not be delivered.
    notifies: whether it calls for a person; such a sink may be spared alerts that call for nobody
    """

    @property
    def notifies(self) -> bool: ...

    @property
    def lost(self) -> int: ...

    def add(self, alerts: Sequence[Document]) -> None:
        """Delivers the alerts of one access, at once."""

    def tick(self, now: float) -> None:
        """Called some times a second: tries again what failed, ends what lasted long enough."""

    def reopen(self) -> None:
        """Opens the file anew: it was rotated."""

    def notes(self) -> list[str]:
        """What changed about the sink since the last call, for a person: each change once."""

    def close(self) -> None:
        """Delivers what is left and lets go."""


@runtime_checkable
class AccessSink(Protocol):
    """A sink that takes every access too, not only alerts."""

    def accesses(self, documents: Iterable[Document]) -> None:
        """Delivers accesses, at once."""


@runtime_checkable
class StorySink(Protocol):
    """A sink that shows stories too."""

    def story(self, story: Story, *, raised: Sequence[Document] = ()) -> None:
        """Takes a story that went on. raised: alerts of before that are more severe now."""


class Outage:
    """Whether a sink's place takes what it is given; told when that changes, tried again every RETRY_SECONDS."""

    def __init__(self, name: str, todo: str) -> None:
        self.lost = 0
        self._name = name
        self._todo = todo
        self._why = ""
        self._lost_before = 0
        self._now = time.monotonic()
        self._retry_at = self._now
        self._notes: list[str] = []

    @property
    def lasts(self) -> bool:
        """Whether it is not yet time to try again."""
        return bool(self._why) and self._now < self._retry_at

    def tick(self, now: float) -> None:
        """Takes the time."""
        self._now = now

    def begins(self, error: OSError, lost: int) -> None:
        """A delivery failed; `lost` alerts were in it."""
        self.lost += lost
        self._retry_at = self._now + RETRY_SECONDS
        why = error.strerror or str(error)
        if why != self._why:
            self._why = why
            self._notes.append(f"{escape(self._name)}: alerts cannot be delivered\n{why}\n{self._todo}")

    def ends(self) -> None:
        """A delivery succeeded."""
        if self._why:
            lost, self._lost_before = self.lost - self._lost_before, self.lost
            self._why = ""
            self._notes.append(f"{escape(self._name)}: alerts are delivered again; not delivered meanwhile: {lost:,}")

    def notes(self) -> list[str]:
        """What changed since the last call."""
        notes, self._notes = self._notes, []
        return notes
