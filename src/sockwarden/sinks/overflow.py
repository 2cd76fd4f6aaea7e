"""What a spool holds in memory while its disk takes nothing."""

from __future__ import annotations

from itertools import islice

MOST_DONE = 100_000


class Overflow:
    """Entries in the order they came, of at most `most_bytes`; the newest that find no room are dropped.

    done  keys delivered meanwhile, whose entries may still be on the disk
    """

    def __init__(self, most_bytes: int) -> None:
        self.dropped = 0
        self.done: dict[bytes, None] = {}
        self._most_bytes = most_bytes
        self._entries: dict[bytes, bytes] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def empty(self) -> bool:
        """Whether there is nothing that the disk does not know."""
        return not (self._entries or self.done or self.dropped)

    def add(self, key: bytes, payload: bytes) -> bool:
        """Takes one entry; False when its key is known, True also when it found no room."""
        if key in self._entries or key in self.done:
            return False
        if self._bytes + len(payload) > self._most_bytes:
            self.dropped += 1
            return True
        self._entries[key] = payload
        self._bytes += len(payload)
        return True

    def oldest(self, most: int | None = None) -> list[tuple[bytes, bytes]]:
        """Keys and payloads."""
        return list(islice(self._entries.items(), most))

    def finish(self, key: bytes) -> None:
        """Takes an entry out: it was delivered."""
        self._bytes -= len(self._entries.pop(key, b""))
        self.done[key] = None
        if len(self.done) > MOST_DONE:
            del self.done[next(iter(self.done))]
