"""Stories in the store: each is written anew when it goes on."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sockwarden.alerts import SEVERITIES
from sockwarden.document import encode
from sockwarden.store.failures import failure
from sockwarden.store.identities import hexadecimal, only
from sockwarden.store.rows import LAST_TIME, first_number, pack, unpack
from sockwarden.stories import Story

_WRITE = """
INSERT INTO stories (number, id, last, level, document)
SELECT coalesce((SELECT max(number) FROM stories WHERE number >= :first AND number < :next), :first - 1) + 1,
    :id, :last, :level, :document
WHERE true
ON CONFLICT (id) DO UPDATE SET last = excluded.last, level = excluded.level, document = excluded.document
"""
_CHOSEN = "FROM stories WHERE level IN (SELECT value FROM json_each(:levels)) AND last >= :since"


class StoryRow(NamedTuple):
    """A row of `stories`; began, last: ms since the epoch."""

    id: str
    began: int
    last: int
    level: str
    document: bytes


def story_row(story: Story) -> StoryRow:
    """The story as it is now."""
    document = pack(encode(msgspec.to_builtins(story)))
    return StoryRow(story.id, _within(story.first_ms), _within(story.last_ms), story.level, document)


class StoryShelf:
    """The stories of a store. Every method raises InputError where it cannot be read or written."""

    def __init__(
        self, path: Path, database: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._path = path
        self._database = database
        self._transaction = transaction

    def write(self, rows: Iterable[StoryRow]) -> None:
        """Keeps stories in one transaction, each in place of what was kept of it before."""
        with self._transaction():
            for row in rows:
                self._write(row)

    def newest(self, most: int, *, levels: Sequence[str] = SEVERITIES, since: int = 0) -> Iterator[Story]:
        """Stories, the one that went on last first. since: those that went on after that, ms since the epoch."""
        yield from self._stories(
            f"SELECT document {_CHOSEN} ORDER BY last DESC, id LIMIT :most", {**_choice(levels, since), "most": most}
        )

    def count(self, *, levels: Sequence[str] = SEVERITIES, since: int = 0) -> int:
        """How many stories there are."""
        try:
            return int(self._database.execute(f"SELECT count(*) {_CHOSEN}", _choice(levels, since)).fetchone()[0])
        except sqlite3.Error as error:
            raise failure(self._path, error) from error

    def find(self, prefix: str) -> Story:
        """The one story whose id starts so."""
        prefix = hexadecimal(prefix, "story")
        found = self._stories(
            "SELECT document FROM stories WHERE id >= :from AND id < :to LIMIT 2", {"from": prefix, "to": prefix + "g"}
        )
        return only(list(found), "story", prefix)

    def _write(self, row: StoryRow) -> None:
        before = self._database.execute("SELECT length(document) FROM stories WHERE id = ?", (row.id,)).fetchone()
        values = {**row._asdict(), "first": first_number(row.began), "next": first_number(row.began + 1)}
        self._database.execute(_WRITE, values)
        grown = len(row.document) - (before[0] if before else 0)
        self._database.execute("UPDATE sizes SET stories = stories + ?", (grown,))

    def _stories(self, query: str, values: dict[str, Any]) -> Iterator[Story]:
        try:
            for (document,) in self._database.execute(query, values):
                yield msgspec.convert(unpack(document), Story)
        except (sqlite3.Error, zlib.error, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise failure(self._path, error) from error


def _choice(levels: Sequence[str], since: int) -> dict[str, Any]:
    return {"levels": msgspec.json.encode(levels).decode(), "since": since}


def _within(milliseconds: int) -> int:
    return min(max(milliseconds, 0), LAST_TIME)
