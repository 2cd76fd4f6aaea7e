"""The store as a place that the scheduled engine can ask."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import msgspec

from sockwarden.document import Document
from sockwarden.rules import Rule
from sockwarden.rules.moments import time_of
from sockwarden.store.failures import failure
from sockwarden.store.rows import first_number, time_in, unpack

_PAGE = 500
_PAGE_OF_ROWS = """
SELECT number, id, document FROM accesses WHERE number >= ? AND number < ? ORDER BY number LIMIT ?
"""
_ALL = (0, (1 << 63) - 1)
_SLACK_MS = 1
"""Stores before schema 4 may have cut a time off by a millisecond."""
_FOUND = """
CREATE TEMP TABLE IF NOT EXISTS found (
    search INTEGER, time INTEGER, id BLOB, number INTEGER, PRIMARY KEY (search, time, id)
) STRICT, WITHOUT ROWID
"""
_PAGE_OF_FOUND = """
SELECT time, found.id, document FROM temp.found JOIN accesses USING (number)
WHERE search = ? AND (time, found.id) > (?, ?) ORDER BY time, found.id LIMIT ?
"""


class StoreSource:
    """The accesses that `watch` kept. Reads page by page: nobody waits for it, and no more than a page is held."""

    name = "store"

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._database = database
        self._searches = 0

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        """See detect.Source. A timestamp_override makes it read every access: rows lie in the order of @timestamp."""
        try:
            if rule.timestamp_override in ("", "@timestamp"):
                yield from self._in_order(rule, start, end)
            else:
                yield from self._by_override(rule, start, end)
        except (sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
            raise failure(self._path, error) from error

    def warnings(self) -> list[str]:
        """The store is whole, or it raises."""
        return []

    def _in_order(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        numbers = (min(first_number(time), _ALL[1]) for time in (start - _SLACK_MS, end + 1))
        for _, rows in groupby(self._rows(*numbers), lambda row: time_in(row[0])):
            # Of one millisecond, rows lie as they came.
            for _, _, packed in sorted(rows, key=lambda row: row[1]):
                document = unpack(packed)
                if self._fits(rule, document, start, end):
                    yield document

    def _by_override(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        self._searches += 1
        search = self._searches
        self._database.execute(_FOUND)
        try:
            for number, identity, packed in self._rows(*_ALL):
                document = unpack(packed)
                if self._fits(rule, document, start, end):
                    row = (search, time_of(document, rule), identity, number)
                    self._database.execute("INSERT INTO temp.found VALUES (?, ?, ?, ?)", row)
            yield from self._sorted(search)
        finally:
            with suppress(sqlite3.Error):  # the store may be closed by now, and the table gone with it
                self._database.execute("DELETE FROM temp.found WHERE search = ?", (search,))

    def _sorted(self, search: int) -> Iterator[Document]:
        last: tuple[int, bytes] = (-(1 << 62), b"")
        while page := self._database.execute(_PAGE_OF_FOUND, (search, *last, _PAGE)).fetchall():
            for time, identity, packed in page:
                last = (time, identity)
                yield unpack(packed)

    def _fits(self, rule: Rule, document: Document, start: int, end: int) -> bool:
        time = time_of(document, rule)
        return time is not None and start <= time <= end and rule.matches(document)

    def _rows(self, first: int, before: int) -> Iterator[tuple[int, bytes, bytes]]:
        while page := self._database.execute(_PAGE_OF_ROWS, (first, before, _PAGE)).fetchall():
            yield from page
            first = page[-1][0] + 1
