"""What a run found, before it is in the store: in a temporary table, on disk where it is much.

The store is not locked while a source is asked, which may take minutes; then everything is moved at once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from sockwarden.alerts import GroupState, counted, socket_of
from sockwarden.document import Document, get
from sockwarden.store import outbox
from sockwarden.store.failures import failure
from sockwarden.store.rows import AlertRow, RuleRow, alert_row, amend, forget_overflow, write

_TABLES = (
    "DROP TABLE IF EXISTS temp.staged",
    "DROP TABLE IF EXISTS temp.staged_rules",
    "DROP TABLE IF EXISTS temp.staged_groups",
    "DROP TABLE IF EXISTS temp.staged_counts",
    "DROP TABLE IF EXISTS temp.taken_in",
    """
    CREATE TEMP TABLE staged_groups (
        key TEXT PRIMARY KEY, uuid TEXT NOT NULL, first INTEGER NOT NULL, start INTEGER NOT NULL,
        end INTEGER NOT NULL, count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # What is to be told by an alert that took matches in, of this run or an earlier one.
    """
    CREATE TEMP TABLE staged_counts (
        uuid TEXT PRIMARY KEY, first INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
        count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TEMP TABLE taken_in (uuid TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """
    CREATE TEMP TABLE staged (
        number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, overflow INTEGER NOT NULL, kept INTEGER NOT NULL,
        time TEXT NOT NULL, severity TEXT NOT NULL, rule BLOB, document BLOB NOT NULL, kind TEXT NOT NULL,
        executable TEXT, socket TEXT
    ) STRICT
    """,
    """
    CREATE TEMP TABLE staged_rules (
        digest BLOB PRIMARY KEY, rule_id TEXT NOT NULL, name TEXT NOT NULL, document BLOB NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
_KNOWN = """
SELECT EXISTS (SELECT 1 FROM main.alerts WHERE uuid = :uuid AND kind <> 'overflow')
OR EXISTS (SELECT 1 FROM temp.staged WHERE uuid = :uuid AND NOT overflow)
OR EXISTS (SELECT 1 FROM main.suppressed WHERE uuid = :uuid)
OR EXISTS (SELECT 1 FROM temp.taken_in WHERE uuid = :uuid)
"""
# An alert replaces the overflow that an earlier window of the same run made of the same document; nothing else does.
_ADD = """
INSERT INTO temp.staged (uuid, overflow, kept, time, severity, rule, document, kind, executable, socket)
VALUES (:uuid, :overflow, :kept, :time, :severity, :rule, :document, :kind, :executable, :socket)
ON CONFLICT (uuid) DO UPDATE SET overflow = excluded.overflow, document = excluded.document, kind = excluded.kind
WHERE overflow AND NOT excluded.overflow
"""
_STAGED = """
SELECT uuid, overflow, kept, time, severity, rule, staged.document, kind, rule_id, name, staged_rules.document
FROM temp.staged LEFT JOIN temp.staged_rules ON digest = rule ORDER BY number
"""
# A group whose alert was closed, or is gone, takes nothing in any more.
_OPEN = """
SELECT uuid, first, start, end, count FROM temp.staged_groups WHERE key = :key
UNION ALL
SELECT uuid, first, start, end, count FROM main.suppression_groups WHERE key = :key
AND EXISTS (SELECT 1 FROM main.alerts WHERE alerts.uuid = suppression_groups.uuid AND status <> 'closed')
"""
# A run over an older stretch does not end the group that is open now.
_LASTING = """
INSERT INTO main.suppression_groups SELECT * FROM temp.staged_groups WHERE true
ON CONFLICT (key) DO UPDATE SET uuid = excluded.uuid, first = excluded.first, start = excluded.start,
    end = excluded.end, count = excluded.count
WHERE excluded.first >= first
"""
_BUSIEST = {
    "executable": "SELECT executable, count(*) FROM temp.staged WHERE overflow GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
    "socket": "SELECT socket, count(*) FROM temp.staged WHERE overflow GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
}
_BATCH = 500


class Staging:
    """Holds the alerts and the overflow of one run."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._database = database
        for statement in _TABLES:
            self._execute(statement)

    def known(self, uuid: str) -> bool:
        """Whether there is an alert with this uuid, in the store or here, or one that took it in."""
        return bool(self._execute(_KNOWN, {"uuid": uuid}).fetchone()[0])

    def add(self, alert: Document, *, overflow: bool = False) -> None:
        """Takes an alert, or a document that is one too many for an alert."""
        row = alert_row(alert)
        texts = {"executable": get(alert, "process.executable"), "socket": socket_of(alert)}
        values = {**row._asdict(), **{name: _text(value) for name, value in texts.items()}}
        values |= {"overflow": overflow, "rule": row.rule.digest if row.rule else None}
        values |= {"kind": "overflow" if overflow else row.kind}
        if row.rule:
            self._execute("INSERT OR IGNORE INTO temp.staged_rules VALUES (?, ?, ?, ?)", row.rule)
        self._execute(_ADD, values)

    def overflow(self) -> int:
        """How many documents are beyond max_signals."""
        return int(self._execute("SELECT count(*) FROM temp.staged WHERE overflow").fetchone()[0])

    def busiest(self, field: str, most: int) -> list[tuple[str | None, int]]:
        """The most frequent executables or sockets among the overflow, with their numbers. field: either word."""
        return [(value, count) for value, count in self._execute(_BUSIEST[field], (most,))]

    def groups(self, key: str) -> list[GroupState]:
        """The lasting groups of this key: of this run, then of earlier ones."""
        return [GroupState(*row) for row in self._execute(_OPEN, {"key": key})]

    def keep_group(self, key: str, state: GroupState) -> None:
        """Makes this the lasting group of the key."""
        values = (key, *msgspec.structs.astuple(state))
        self._execute("INSERT OR REPLACE INTO temp.staged_groups VALUES (?, ?, ?, ?, ?, ?)", values)

    def take_in(self, uuid: str, state: GroupState) -> None:
        """Notes that a group took the match with this uuid in, and what the group's alert is to tell now."""
        self._execute("INSERT OR IGNORE INTO temp.taken_in VALUES (?)", (uuid,))
        self._execute("DELETE FROM temp.staged WHERE uuid = ? AND overflow", (uuid,))
        values = msgspec.structs.astuple(state)
        self._execute("INSERT OR REPLACE INTO temp.staged_counts VALUES (?, ?, ?, ?, ?)", values)

    def move(self) -> None:
        """Puts everything into the store, inside a transaction of the caller's; what is new is to be delivered."""
        rows = self._rows()
        while batch := list(islice(rows, _BATCH)):
            new = write(self._database, [], [row for row, _ in batch])[1]
            fresh = [row.uuid for (row, overflow), is_new in zip(batch, new, strict=True) if is_new and not overflow]
            outbox.put(self._database, fresh)
        self._move_groups()

    def _move_groups(self) -> None:
        for row in self._database.execute("SELECT uuid, first, start, end, count FROM temp.staged_counts").fetchall():
            amend(self._database, row[0], {"suppression": counted(GroupState(*row))})
        for (uuid,) in self._database.execute("SELECT uuid FROM temp.taken_in"):
            forget_overflow(self._database, uuid)
        now = time.time_ns() // 1_000_000
        self._database.execute("INSERT OR IGNORE INTO main.suppressed SELECT uuid, ? FROM temp.taken_in", (now,))
        self._database.execute(_LASTING)

    def _rows(self) -> Iterator[tuple[AlertRow, bool]]:
        for uuid, overflow, kept, moment, severity, digest, document, kind, *rule in self._database.execute(_STAGED):
            row = AlertRow(kept, uuid, moment, severity, RuleRow(digest, *rule) if digest else None, document, kind)
            yield row, bool(overflow)

    def _execute(self, statement: str, values: object = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise failure(self._path, error) from error


def _text(value: object) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
