"""Alerts of runs that are still to be delivered, and how far each sink is.

An alert is entered in the transaction that stores it, and a sink's place moves on after the sink took it: whatever ends
the process, each alert reaches each sink at least once.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.document import Document
from sockwarden.store.failures import failure
from sockwarden.store.rows import unpack

FORGOTTEN_MS = 7 * 86_400_000
"""A sink that no run has had for so long is no longer waited for."""

# Where there is no sink, nothing would ever take the entry away.
_PUT = "INSERT INTO outbox (uuid) SELECT ? WHERE EXISTS (SELECT 1 FROM deliveries)"
_JOIN = """
INSERT INTO deliveries (sink, delivered, seen)
VALUES (?, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0), ?)
ON CONFLICT (sink) DO UPDATE SET seen = excluded.seen
"""
_WAITING = """
SELECT outbox.number, alerts.document, rules.document
FROM outbox LEFT JOIN alerts USING (uuid) LEFT JOIN rules ON rules.number = alerts.rule
WHERE outbox.number > (SELECT delivered FROM deliveries WHERE sink = ?) ORDER BY outbox.number LIMIT ?
"""
_TRIM = "DELETE FROM outbox WHERE number <= coalesce((SELECT min(delivered) FROM deliveries), (1 << 62))"


def put(database: sqlite3.Connection, uuids: Iterable[str]) -> None:
    """Enters alerts, inside the transaction that stores them."""
    database.executemany(_PUT, ((uuid,) for uuid in uuids))


class Outbox:
    """What is to be delivered. Methods raise InputError when the store cannot be read or written."""

    def __init__(
        self, path: Path, database: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._path = path
        self._database = database
        self._transaction = transaction

    def join(self, sinks: Sequence[str], now: int) -> list[str]:
        """Makes these the sinks to be delivered to. A new one begins with what comes from now on; one that was here
        goes on where it was; one that is missing for a week is forgotten: those are returned. now: in ms.
        """
        with self._transaction():
            self._database.executemany(_JOIN, ((sink, now) for sink in sinks))
            old = (now - FORGOTTEN_MS,)
            forgotten = [row[0] for row in self._database.execute("SELECT sink FROM deliveries WHERE seen < ?", old)]
            self._database.execute("DELETE FROM deliveries WHERE seen < ?", old)
            self._database.execute(_TRIM)
        return forgotten

    def waiting(self, sink: str, most: int) -> list[tuple[int, Document | None]]:
        """The next alerts for a sink, each with its number; None for one that retention has removed meanwhile."""
        try:
            found = self._database.execute(_WAITING, (sink, most)).fetchall()
            return [(number, unpack(*parts) if parts[0] is not None else None) for number, *parts in found]
        except (sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
            raise failure(self._path, error) from error

    def count(self, sink: str) -> int:
        """How many alerts wait for a sink."""
        query = "SELECT count(*) FROM outbox WHERE number > (SELECT delivered FROM deliveries WHERE sink = ?)"
        return int(self._row(query, (sink,))[0])

    def delivered(self, sink: str, number: int, now: int) -> None:
        """The sink took everything up to this number."""
        with self._transaction():
            update = "UPDATE deliveries SET delivered = ?, seen = ? WHERE sink = ?"
            self._database.execute(update, (number, now, sink))
            self._database.execute(_TRIM)

    def _row(self, query: str, values: Sequence[Any]) -> Any:
        try:
            return self._database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise failure(self._path, error) from error
