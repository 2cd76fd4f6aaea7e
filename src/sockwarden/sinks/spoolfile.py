"""The file of a spool: SQLite in WAL mode, 0600 in a folder of 0700."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from sockwarden.write_ahead import log_ahead

MOST_KEYS = 100_000
"""Keys of delivered entries that are remembered."""
_MOST_LOG = 4 << 20
"""Bytes that the write-ahead log keeps on disk after a checkpoint."""
_WAIT = 0.5
"""Seconds to wait for another process: the run has events to read meanwhile."""
_VERSION = 1
_SCHEMA = (
    # AUTOINCREMENT: no number is used again, so that a place in the queue stays a place.
    """
    CREATE TABLE entries (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, payload BLOB NOT NULL)
    STRICT
    """,
    "CREATE TABLE delivered (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE) STRICT",
    # One row: to count and add up would read the whole file.
    """
    CREATE TABLE counts (
        waiting INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL, delivered INTEGER NOT NULL
    ) STRICT
    """,
    "INSERT INTO counts VALUES (0, 0, 0, 0)",
    f"PRAGMA user_version = {_VERSION}",
)


class Totals(msgspec.Struct, frozen=True):
    """What a spool's file holds, and what happened since it began. bytes: of the compressed payloads that wait."""

    waiting: int = 0
    bytes: int = 0
    dropped: int = 0
    delivered: int = 0


def opened(path: Path) -> tuple[sqlite3.Connection, os.stat_result]:
    """A connection in autocommit mode, for use from any thread, and which file it is. sqlite3.Error or OSError where it
    cannot be used.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database, found


def totals(database: sqlite3.Connection) -> Totals:
    """The counts."""
    return Totals(*database.execute("SELECT waiting, bytes, dropped, delivered FROM counts").fetchone())


def totals_of(path: Path) -> Totals | None:
    """The counts of a file that another process may be using; None where there is none. sqlite3.Error where it cannot
    be read.
    """
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT)) as database:
        return totals(database)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.rollback()
        raise


def insert(database: sqlite3.Connection, key: bytes, payload: bytes) -> bool:
    """Adds one entry; False when its key waits or was delivered."""
    if database.execute("SELECT 1 FROM delivered WHERE key = ?", (key,)).fetchone():
        return False
    if not database.execute("INSERT OR IGNORE INTO entries (key, payload) VALUES (?, ?)", (key, payload)).rowcount:
        return False
    database.execute("UPDATE counts SET waiting = waiting + 1, bytes = bytes + ?", (len(payload),))
    return True


def finish(database: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    """Takes entries out and remembers their keys."""
    for key in keys:
        row = database.execute("DELETE FROM entries WHERE key = ? RETURNING length(payload)", (key,)).fetchone()
        if row:
            database.execute("UPDATE counts SET waiting = waiting - 1, bytes = bytes - ?", row)
        if database.execute("INSERT OR IGNORE INTO delivered (key) VALUES (?)", (key,)).rowcount:
            database.execute("UPDATE counts SET delivered = delivered + 1")
    database.execute("DELETE FROM delivered WHERE number <= (SELECT max(number) FROM delivered) - ?", (MOST_KEYS,))


def drop(database: sqlite3.Connection, key: bytes) -> int:
    """Takes out an entry that cannot be delivered; how many that were."""
    row = database.execute("DELETE FROM entries WHERE key = ? RETURNING length(payload)", (key,)).fetchone()
    if row is None:
        return 0
    database.execute("UPDATE counts SET waiting = waiting - 1, bytes = bytes - ?, dropped = dropped + 1", row)
    return 1


def make_room(database: sqlite3.Connection, most_bytes: int, kept: int) -> int:
    """Takes out the oldest entries behind number `kept` until the rest is no larger; how many."""
    excess = totals(database).bytes - most_bytes
    if excess <= 0:
        return 0
    gone, size, last = 0, 0, kept
    for number, length in database.execute(
        "SELECT number, length(payload) FROM entries WHERE number > ? ORDER BY number", (kept,)
    ):
        gone, size, last = gone + 1, size + length, number
        if size >= excess:
            break
    database.execute("DELETE FROM entries WHERE number > ? AND number <= ?", (kept, last))
    database.execute(
        "UPDATE counts SET waiting = waiting - ?, bytes = bytes - ?, dropped = dropped + ?", (gone, size, gone)
    )
    return gone


def end_of_older_half(database: sqlite3.Connection, most_bytes: int) -> int:
    """The number of the last of the oldest entries that together are no larger than half of that."""
    size, last = 0, 0
    for number, length in database.execute("SELECT number, length(payload) FROM entries ORDER BY number"):
        size += length
        if size > most_bytes // 2:
            break
        last = number
    return last


def _prepare(database: sqlite3.Connection) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise OSError(errno.EINVAL, f"it is of a later sockwarden (schema {version}, this one knows {_VERSION})")
    log_ahead(database, _WAIT)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA journal_size_limit = {_MOST_LOG}")
    if version < _VERSION:
        with transaction(database):
            # Again, under the lock: another process may have begun it meanwhile.
            if database.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                for statement in _SCHEMA:
                    database.execute(statement)
