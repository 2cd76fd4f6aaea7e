"""What a reader met: counted, shown, and what could not be parsed kept, up to a bound."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sockwarden.errors import InputError

QUARANTINE_BYTES = 1 << 20
"""Size at which the quarantine file stops growing; what comes later is only counted."""
EXCERPT_BYTES = 4096
"""How much of one line the quarantine keeps."""


class Tally(msgspec.Struct):
    """Counts of one run.

    read        bytes, after decompression
    events      audit events or JSON documents that were parsed; the others could hold nothing wanted
    incomplete  audit events whose announced records are not all there
    duplicates  copies of a record
    late        records that came after their event was closed
    rejected    lines that could not be parsed, by reason
    """

    read: int = 0
    events: int = 0
    incomplete: int = 0
    duplicates: int = 0
    late: int = 0
    rejected: dict[str, int] = {}
    quarantine: Quarantine | None = None

    def add(self, other: Tally) -> None:
        """Takes in the counts of another."""
        for name in ("read", "events", "incomplete", "duplicates", "late"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count

    def reject(self, reason: str, line: bytes) -> None:
        """Counts a line that could not be parsed, and keeps it where there is a quarantine."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        if self.quarantine:
            self.quarantine.keep(reason, line)


class Quarantine:
    """A file of what could not be parsed: NDJSON of reason and line, bytes that are no UTF-8 as \\xNN.

    It is emptied first, so it must be none of the inputs: those are evidence.
    """

    def __init__(self, path: Path, *, inputs: Iterable[str] = ()) -> None:
        self.path = path
        self.kept = 0
        self._written = 0
        try:
            # Without O_NONBLOCK a FIFO that nobody reads would be waited for.
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise self._unusable(error.strerror or "") from error
        self._file = os.fdopen(descriptor, "wb")
        own = os.fstat(descriptor)
        if not stat.S_ISREG(own.st_mode):
            raise self._unusable("it is no regular file")
        for one in inputs:
            if Path(one).exists() and os.path.samestat(own, Path(one).stat()):
                raise self._unusable("it is one of the inputs")
        os.ftruncate(descriptor, 0)

    def _unusable(self, why: str) -> InputError:
        return InputError(
            "the quarantine file cannot be written",
            where=str(self.path),
            why=why,
            todo="Name another file with --quarantine.",
        )

    def keep(self, reason: str, line: bytes) -> None:
        """Writes one line, unless the file is full."""
        text = line[:EXCERPT_BYTES].decode("utf-8", "backslashreplace")
        entry = msgspec.json.encode({"reason": reason, "bytes": len(line), "line": text}) + b"\n"
        if self._written + len(entry) > QUARANTINE_BYTES:
            return
        self._written += self._file.write(entry)
        self.kept += 1

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
