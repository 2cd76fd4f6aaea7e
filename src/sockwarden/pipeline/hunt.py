"""A hunt: recorded logs through identity, enrichment and detection to alerts.

Each stream is read twice: once to learn which inode is which socket, once to judge. Only candidates are parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from sockwarden.detect import Detection, Engine
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.pipeline.replay import Progress, Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import Stream, Tally, format_of
from sockwarden.sockets import packaged


class Window(msgspec.Struct, frozen=True):
    """From when to when, inclusive: times as documents carry them (ISO 8601, UTC, milliseconds); empty is open."""

    since: str = ""
    until: str = ""

    def holds(self, document: Document) -> bool:
        """Whether a document lies in it. One without a time does: unknown must not hide it."""
        time = _utc(str(document.get("@timestamp", "")))
        return not time or ((not self.since or time >= self.since) and (not self.until or time <= self.until))


def _utc(time: str) -> str:
    """A document's time in the form that ours have; empty for what is no time."""
    if len(time) == len("2026-01-01T00:00:00.000Z") and time.endswith("Z"):
        return time
    try:
        moment = datetime.fromisoformat(time)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    except (ValueError, OverflowError):
        return ""


class Hunt:
    """One run over streams. `alerts` gives what was found; the other attributes say what was met on the way.

    failures  inputs that could not be read, or only in part
    ignored   files of a folder that are no log
    formats   streams read, by format
    undecided accesses that name a runtime socket, while the log does not tell its directory, or not the call
    trusted   accesses to runtime sockets by programs at a runtime component's path, which proves nothing
    """

    def __init__(self, detections: Sequence[Detection], *, literal: bool = False, window: Window | None = None) -> None:
        self._window = window or Window()
        catalogue = packaged()
        self.engine = Engine(detections)
        self.wanted = wanted_by((detection.required_literals for detection in detections), catalogue)
        self._replay = Replay(catalogue, self.wanted, literal=literal)
        self.failures: list[InputError] = []
        self.ignored: list[InputError] = []
        self.formats: dict[str, int] = {}
        self.undecided = 0
        self.trusted = 0

    @property
    def tally(self) -> Tally:
        """What the readers met."""
        return self._replay.tally

    def alerts(self, streams: Sequence[Stream], progress: Progress = lambda *_: None) -> Iterator[Document]:
        """The alerts of all streams, in the order of their events within each."""
        for stream in streams:
            with stream:
                yield from self._alerts_of(stream, progress)
            self.failures += stream.failures.values()

    def _alerts_of(self, stream: Stream, progress: Progress) -> Iterator[Document]:
        if not stream.parts:
            return
        try:
            form = format_of(stream)
        except InputError as error:
            # What a folder holds beside its logs is no failure, unless it holds no log at all.
            (self.ignored if stream.found_in_folder else self.failures).append(error)
            return
        self.formats[form.name] = self.formats.get(form.name, 0) + 1
        for document in self._replay.documents(stream, form, progress):
            if self._window.holds(document):
                self._note(document)
                yield from self.engine.judge(document)
        self.engine.source_complete(stream.name)

    def _note(self, document: Document) -> None:
        reached = get(document, "sockwarden.socket.runtime") is not None
        unplaced = not reached and get(document, "sockwarden.socket.alias") == "unknown"
        self.undecided += unplaced or (reached and get(document, "event.action") == "unknown-call")
        verified = get(document, "sockwarden.actor.verified")
        self.trusted += reached and not verified and get(document, "sockwarden.actor.component") is not None
