"""What feeds a watch: a sensor of the kernel, with all that the watch asks of it. One shape, whichever the sensor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from sockwarden.document import Document
from sockwarden.enrich import Moment, ProcessEvent
from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.pipeline.gap import Recording, recording
from sockwarden.sensors.limits import BlindSpot, Lost, Unwatched
from sockwarden.sockets.inventory import Inventory


class Told(NamedTuple):
    """An access, not resolved yet. moment: who and when, exactly, where the source knows; else the document says it."""

    document: Document
    moment: Moment | None = None


class ProcessSource(Protocol):
    """Forks, execs and exits of all processes, on which the process cache lives."""

    @property
    def lost(self) -> int:
        """How many times events were dropped; the cache then looks at /proc again."""

    @property
    def is_open(self) -> bool:
        """Whether it listens."""

    def open(self) -> None:
        """Starts to listen. Raises InputError where it cannot; the watch goes on without."""

    def fileno(self) -> int:
        """The descriptor to poll; it may be one of the source's own."""

    def receive(self) -> list[ProcessEvent]:
        """Some of what has come, in its order; empty when there is nothing. Never blocks."""

    def close(self) -> None:
        """Stops listening; a second call does nothing."""


class RequestSource(Protocol):
    """What is asked over the connections that a source tells of."""

    @property
    def are_read(self) -> bool:
        """Whether anything can be said of what is asked."""

    @property
    def waits(self) -> bool:
        """Whether something was read that is told when its time has come."""

    def fileno(self) -> int:
        """The descriptor to poll."""

    def remember(self, access: Document, moment: Moment | None) -> None:
        """Takes a judged access: who sends what is asked over its connection."""

    def receive(self, now: float) -> bool:
        """Takes what was read: whether `take` has what to do. now: time.monotonic."""

    def take(self, end: float) -> Iterator[Told]:
        """Requests; ends when no more is here, or at a time of time.monotonic."""

    def last(self, end: float) -> Iterator[Told]:
        """At the end of the watch, when the source sees nothing more: what it would have told later."""


class LiveSource(Protocol):
    """Live accesses. `open`, then whatever else in any order, in one thread, then `close`.

    A source may hold a document back until a discovery has begun after its event: it then wants one, and gives the
    document out once it was told of that discovery.
    """

    @property
    def name(self) -> str:
        """As `--sensor` has it, and sockwarden.sensor.name of its documents."""

    @property
    def hook(self) -> str:
        """By what means it sees, where it has several; empty where it has one. Known once it is open."""

    @property
    def processes(self) -> ProcessSource:
        """Where it knows processes from; opened after the source and closed before it."""

    @property
    def requests(self) -> RequestSource | None:
        """What is asked; None where this source cannot read it. Known once it is open."""

    def open(self, tell: Callable[[str], None]) -> None:
        """Puts it in place. Raises InputError where it cannot work; the host then is as it was.

        tell: takes lines for a person, of what a killed run had left.
        """

    def filenos(self) -> Sequence[int]:
        """The descriptors to poll for reading. Asked once, when the watch has caught up."""

    def follow(self, inventory: Inventory) -> list[Unwatched]:
        """Makes it fit the sockets that there are now: those that cannot be watched, and why."""

    def receive(self) -> bool:
        """Takes what waits in the kernel, unless something of that waits here still: whether `take` has what to do."""

    def take(self, end: float) -> Iterator[Told]:
        """Accesses; ends when no more is here, or at a time of time.monotonic."""

    def expire(self, now: int) -> Iterator[Told]:
        """Accesses that were never completed, by a clock in milliseconds since the epoch; asked while nothing comes."""

    def last(self, end: float) -> Iterator[Told]:
        """At the end of the watch: what it would have told later, whole until a time of time.monotonic, then as far as
        it can. Nothing new comes afterwards from a source that cannot leave it to the next start.
        """

    @property
    def wants_discovery(self) -> bool:
        """Whether it has seen what only a discovery can tell, or holds documents back for one."""

    def discovered(self, began: float) -> None:
        """Tells it that the inventory has a discovery that began at a time of time.monotonic."""

    def has_told(self, client: int, pid: int) -> bool:
        """Whether it told already that a process has a connection, by the inode of the client's end."""

    @property
    def wants_check(self) -> bool:
        """Whether it has seen what calls for `check` before its time."""

    def check(self, now: float) -> list[Trouble]:
        """Looks whether all is in place still, mends what can be mended, and tells what is new. now: time.monotonic."""

    def losses(self) -> Lost:
        """What has been lost so far; after `close`, in all."""

    def blind_spots(self, inventory: Inventory) -> list[BlindSpot]:
        """What it cannot see on this host. To be asked after `follow`."""

    def close(self) -> list[str]:
        """Puts the host back as it was: what could not be, each with its reason and the way on.

        A second call does nothing.
        """


class Looker(Protocol):
    """What looks at the host from time to time, beside the source."""

    @property
    def seconds(self) -> float:
        """Between two looks, at least."""

    @property
    def limits(self) -> Sequence[str]:
        """What it could not look at the last time, a sentence each, which stays the same while that lasts."""

    def look(self, inventory: Inventory) -> Iterable[Told]:
        """Accesses that it found and has not told of."""


class Refused(NamedTuple):
    """A source that did not open, and why; str() for a person."""

    name: str
    error: InputError

    def __str__(self) -> str:
        return f"not by {self.name}: {self.error}"


class Opened(NamedTuple):
    """The source in place, those that did not open, and when this began, in seconds since the epoch, with who recorded
    until then: what changes on the host from then on is our own doing.
    """

    source: LiveSource
    refused: list[Refused]
    began: float
    recorder: Recording


def described(source: LiveSource) -> str:
    """By what is watched: "audit", "ebpf (lsm)"."""
    return f"{source.name} ({source.hook})" if source.hook else source.name


def open_first(sources: Sequence[LiveSource], tell: Callable[[str], None]) -> Opened:
    """Opens the first source that opens, and says why those before it did not. Where none does, tells why and raises
    the last one's InputError.
    """
    began, recorder = time.time(), recording()
    refused: list[Refused] = []
    for source in sources:
        try:
            source.open(tell)
        except InputError as error:
            refused.append(Refused(source.name, error))
        else:
            return Opened(source, refused, began, recorder)
    *others, last = refused
    for other in others:
        tell(str(other))
    raise last.error
