"""What a receiver refused for good, kept for a person: lines of JSON in a bounded file of mode 0600."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sockwarden.sinks.worker import Refusal

MOST_BYTES = 16 << 20


class Quarantine:
    """Appends to the file at `path`. lost: refused entries that found no place in it."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self.lost = 0
        self.path = path
        self._most_bytes = most_bytes

    def put(self, refusals: Sequence[Refusal]) -> None:
        """Keeps what was refused, with the reason and the time; beyond the file's limit it counts only."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = [
            msgspec.json.encode({"time": time, "why": one.why, "payload": one.entry.payload.decode("utf-8", "replace")})
            for one in refusals
        ]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        written = 0
        try:
            with open(os.open(self.path, flags, 0o600), "ab", buffering=0) as file:  # noqa: PTH123 - of a descriptor
                for line in lines:
                    if os.fstat(file.fileno()).st_size + len(line) >= self._most_bytes:
                        break
                    if file.write(line + b"\n") <= len(line):
                        break
                    written += 1
        except OSError:
            pass
        self.lost += len(lines) - written
