"""A bounded queue on disk between a run and a receiver that may be away.

An entry that was added survives the end of the process at any moment, and the last few not the loss of power
(synchronous = NORMAL). It leaves the queue when it is `done`; killed between, the next run has it again: every entry is
delivered at least once. A key that waits, or is among the last MOST_KEYS delivered, is not taken a second time.

What goes when there is no room: whoever floods first and acts then would be forgotten if the newest went, whoever acts
first and floods then if the oldest went. So the older half stays, and in the newer half the oldest go: how it began and
what came last are delivered, the middle of the flood is counted as dropped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from sockwarden.sinks.escape import escape
from sockwarden.sinks.overflow import Overflow
from sockwarden.sinks.spoolfile import (
    MOST_KEYS,
    Totals,
    drop,
    end_of_older_half,
    finish,
    insert,
    make_room,
    opened,
    totals,
    totals_of,
    transaction,
)

__all__ = ["MOST_KEYS", "Entry", "Spool", "Totals", "totals_of"]

T = TypeVar("T")

MOST_MEMORY = 16 << 20
"""Bytes held in memory while the disk takes nothing."""
RETRY_SECONDS = 10.0
_TODO = (
    "What comes is held in memory, and the disk tried again every 10 s.\n"
    "Free space, make folder and file writable, or move a damaged file and its -wal and -shm away."
)


class Entry(msgspec.Struct, frozen=True):
    """What waits for its delivery. key: a digest of the key it was added with."""

    key: bytes
    payload: bytes


class Spool:
    """The queue in the file at `path`, of at most `most_bytes` of compressed payloads.

    duplicates  entries that were known already
    dropped     entries that found no room; both since this object began
    One thread adds, another takes and calls `done`; every method may be called from any. None raises: what goes wrong
    with the disk is in `notes`. Of several processes with one file all add, and the first that takes delivers for all
    of them, as long as it lives.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.duplicates = 0
        self.dropped = 0
        self._path = path
        self._most_bytes = most_bytes
        self._guard = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._memory = Overflow(min(most_bytes, MOST_MEMORY))
        self._waiting = self._taken = self._kept = 0
        self._failing = ""
        self._dropped_before = 0
        self._retry_at = float("-inf")
        self._notes: list[str] = []
        self._turn: int | None = None
        self._closed = False
        self._tried(bool)

    @property
    def waiting(self) -> int:
        """Entries that are not done yet, on disk and in memory."""
        with self._guard:
            if (found := self._tried(totals)) is not None:
                self._waiting = found.waiting
            return self._waiting + len(self._memory)

    def add(self, key: str, payload: bytes) -> bool:
        """Takes one entry; False when its key is known."""
        return self.add_all([(key, payload)])[0]

    def add_all(self, items: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Takes entries in one transaction; tells which of them are new. One that finds no room is new too."""
        entries = [(_digest(key), zlib.compress(payload, 1)) for key, payload in items]
        with self._guard:
            new = self._tried(lambda database: self._put(database, entries))
            if new is None:
                new = [self._hold(*entry) for entry in entries]
            self.duplicates += new.count(False)
            return new

    def take(self, most_items: int, most_bytes: int) -> list[Entry]:
        """The oldest entries, of no more bytes of payload than that, but at least one; they stay until they are `done`.
        Empty also when another process delivers.
        """
        with self._guard:
            if not self._has_turn():
                return []
            found = self._tried(lambda database: self._oldest(database, most_items, most_bytes))
            if found is not None:
                return found
            return [entry for entry, _ in _within(((*row, 0) for row in self._memory.oldest(most_items)), most_bytes)]

    def done(self, entries: Sequence[Entry]) -> None:
        """Takes entries out: they were delivered."""
        keys = [entry.key for entry in entries]
        with self._guard:
            if self._tried(lambda database: _finished(database, keys)) is None:
                for key in keys:
                    self._memory.finish(key)

    def notes(self) -> list[str]:
        """What changed about the file since the last call, for a person."""
        with self._guard:
            notes, self._notes = self._notes, []
            return notes

    def close(self) -> int:
        """Lets go; what waits stays on disk. How many entries could not be written there, and are lost."""
        with self._guard:
            self._retry_at = float("-inf")
            self._tried(bool)
            self._closed = True
            if self._database:
                self._database.close()
                self._database = None
            if self._turn is not None:
                os.close(self._turn)
                self._turn = None
            lost = len(self._memory)
            self.dropped += lost
            return lost

    def _put(self, database: sqlite3.Connection, entries: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        # What is larger than half of it would push everything else out.
        large = [len(payload) > self._most_bytes // 2 for _, payload in entries]
        with transaction(database):
            new = [too_large or insert(database, *entry) for entry, too_large in zip(entries, large, strict=True)]
            database.execute("UPDATE counts SET dropped = dropped + ?", (sum(large),))
            dropped = self._make_room(database)
        self.dropped += dropped + sum(large)
        return new

    def _make_room(self, database: sqlite3.Connection) -> int:
        if totals(database).bytes <= self._most_bytes:
            return 0
        if self._kept < database.execute("SELECT min(number) FROM entries").fetchone()[0]:
            self._kept = end_of_older_half(database, self._most_bytes)
        # What is being delivered stays.
        return make_room(database, self._most_bytes, max(self._kept, self._taken))

    def _oldest(self, database: sqlite3.Connection, most_items: int, most_bytes: int) -> list[Entry]:
        rows = database.execute("SELECT key, payload, number FROM entries ORDER BY number LIMIT ?", (most_items,))
        try:
            found = list(_within(rows, most_bytes))
        except _DamagedError as damaged:
            # Nobody can deliver it, and it must not keep the others waiting.
            with transaction(database):
                self.dropped += drop(database, damaged.key)
            self._notes.append(f"{escape(str(self._path))}: an entry is damaged, and lost")
            return self._oldest(database, most_items, most_bytes)
        self._taken = found[-1][1] if found else 0
        return [entry for entry, _ in found]

    def _has_turn(self) -> bool:
        """Whether this process is the one that delivers: the lock ends with its process."""
        if self._turn is None and not self._closed:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                file = os.open(self._path.with_suffix(".lock"), flags, 0o600)
            except OSError:
                # Where no lock can be made there is no queue on disk either that two could deliver.
                return True
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
            else:
                self._turn = file
        return self._turn is not None

    def _ready(self) -> sqlite3.Connection:
        """The open file, with what was held in memory put into it. Raises what `_tried` takes."""
        if self._closed or time.monotonic() < self._retry_at:
            raise _NotYetError
        if self._database and self._moved():
            self._rescue(self._database)
        if self._database is None:
            self._database, self._file = opened(self._path)
            self._taken = self._kept = 0
        if not self._memory.empty:
            self._settle(self._database)
        if self._failing:
            lost, self._dropped_before = self.dropped - self._dropped_before, self.dropped
            self._failing = ""
            told = f"; no room was left meanwhile for {lost:,} entries, which are lost" if lost else ""
            self._notes.append(f"{escape(str(self._path))}: the spool is written again{told}")
        return self._database

    def _settle(self, database: sqlite3.Connection) -> None:
        """Puts on disk what was held in memory."""
        with transaction(database):
            finish(database, list(self._memory.done))
            for key, payload in self._memory.oldest():
                insert(database, key, payload)
            database.execute("UPDATE counts SET dropped = dropped + ?", (self._memory.dropped,))
            dropped = self._make_room(database)
        self.dropped += dropped
        self._memory = Overflow(min(self._most_bytes, MOST_MEMORY))

    def _hold(self, key: bytes, payload: bytes) -> bool:
        """Takes an entry into memory; False when its key is known there."""
        dropped = self._memory.dropped
        new = self._memory.add(key, payload)
        self.dropped += self._memory.dropped - dropped
        return new

    def _moved(self) -> bool:
        try:
            return self._file is None or not os.path.samestat(self._path.lstat(), self._file)
        except OSError:
            return True

    def _rescue(self, database: sqlite3.Connection) -> None:
        """The file was deleted or replaced: what waited in it can still be read, and goes into the new one."""
        with suppress(sqlite3.Error):
            for key, payload in database.execute("SELECT key, payload FROM entries ORDER BY number"):
                self._hold(key, payload)
        database.close()
        self._database = None
        self._notes.append(
            f"{escape(str(self._path))}: the spool was moved or deleted; a new one is begun, with what waited in it"
        )

    def _tried(self, use: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `use` gives; None where the disk does not take it, which is a reason to go on without it for a while."""
        with self._guard:
            try:
                return use(self._ready())
            except _NotYetError:
                return None
            except (sqlite3.Error, OSError) as error:
                self._fails(error)
                return None

    def _fails(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if self._database:
            self._database.close()
            self._database = None
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        if why != self._failing:
            self._dropped_before = self._dropped_before if self._failing else self.dropped
            self._failing = why
            self._notes.append(f"{escape(str(self._path))}: the spool cannot be used\n{escape(why)}\n{_TODO}")


class _NotYetError(Exception):
    """It is not time to try the disk again."""


class _DamagedError(Exception):
    """The entry with this key cannot be read."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key.hex())
        self.key = key


def _within(rows: Iterable[tuple[bytes, bytes, int]], most_bytes: int) -> Iterator[tuple[Entry, int]]:
    """Entries of rows while they fit, at least one, each with its number."""
    size = 0
    for key, payload, number in rows:
        try:
            entry = Entry(key, zlib.decompress(payload))
        except zlib.error:
            raise _DamagedError(key) from None
        size += len(entry.payload)
        if size > most_bytes and size > len(entry.payload):
            return
        yield entry, number


def _finished(database: sqlite3.Connection, keys: Sequence[bytes]) -> bool:
    with transaction(database):
        finish(database, keys)
    return True


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
