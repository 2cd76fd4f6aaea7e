"""Alerts on standard output as lines of JSON while they happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, ClassVar

from sockwarden.document import Document
from sockwarden.sinks.lines import Lines
from sockwarden.sinks.outlet import Outlet


class StreamSink:
    """One JSON object a line, at once; a form of FORMS. Never waits; raises TerminalGoneError when nobody can read."""

    notifies: ClassVar[bool] = False

    def __init__(self, form: str, file: BinaryIO) -> None:
        self._lines = Lines(form)
        self._outlet = Outlet(file)

    @property
    def lost(self) -> int:
        """Alerts that were not written, since nobody read for too long."""
        return self._outlet.lost

    def add(self, alerts: Sequence[Document]) -> None:
        """Writes the alerts of one access; those without such a form are left out."""
        for alert in alerts:
            if (line := self._lines.line(alert)) is not None:
                self._outlet.write(line, alerts=1)

    def tick(self, now: float) -> None:  # noqa: ARG002 - a Sink's method
        """Writes what was held back."""
        self._outlet.flush()

    def reopen(self) -> None:
        """Standard output is not rotated."""

    def notes(self) -> list[str]:
        """What changed since the last call."""
        return self._outlet.notes()

    def close(self) -> None:
        """Writes what was held back, if that is possible within a second."""
        self._outlet.close()
