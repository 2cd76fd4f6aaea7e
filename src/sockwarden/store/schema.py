"""The store's schema, and how an older one becomes this one."""

from __future__ import annotations

import sqlite3

from sockwarden.store.rows import alert_row_of_1, write
from sockwarden.write_ahead import log_ahead

_FIRST = (
    """
    CREATE TABLE alerts (
        uuid TEXT PRIMARY KEY,
        time TEXT NOT NULL,
        rule_id TEXT NOT NULL,
        rule_name TEXT NOT NULL,
        severity TEXT NOT NULL,
        risk_score INTEGER NOT NULL,
        document BLOB NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX alerts_by_time ON alerts (time)",
)
_SECOND = (
    # number is time and a counter, see rows.first_number: rows lie in the order of time, so that retention takes
    # whole pages off one end, and no index on time is needed.
    """
    CREATE TABLE accesses (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        runtime TEXT,
        socket TEXT,
        origin TEXT,
        sensor TEXT,
        document BLOB NOT NULL
    ) STRICT
    """,
    # What alerts have in `kibana.alert.rule`, each once: a rule with its guide is 30 times the rest of an alert.
    """
    CREATE TABLE rules (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        rule_id TEXT NOT NULL,
        name TEXT NOT NULL,
        document BLOB NOT NULL
    ) STRICT
    """,
    "DROP INDEX alerts_by_time",
    "ALTER TABLE alerts RENAME TO alerts_of_1",
    # An alert of an old log is new to the store: the time in its number, by which it ages, is when it was kept.
    """
    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY,
        uuid TEXT NOT NULL UNIQUE,
        time TEXT NOT NULL,
        severity TEXT NOT NULL,
        rule INTEGER REFERENCES rules,
        document BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX alerts_by_time ON alerts (time)",
    "CREATE INDEX alerts_by_rule ON alerts (rule)",
    # Bytes of documents of each kind, one row: retention asks which is more, and a sum would read the whole file.
    "CREATE TABLE sizes (accesses INTEGER NOT NULL, alerts INTEGER NOT NULL) STRICT",
    "INSERT INTO sizes VALUES (0, 0)",
)

_THIRD = (
    # alert, or overflow: a match beyond its rule's max_signals.
    "ALTER TABLE alerts ADD COLUMN kind TEXT NOT NULL DEFAULT 'alert'",
    "DROP INDEX alerts_by_time",
    "CREATE INDEX alerts_by_time ON alerts (kind, time)",
    # In the order of its numbers, for retention.
    "CREATE INDEX overflow ON alerts (kind) WHERE kind = 'overflow'",
)
_FOURTH = (
    # windows, warnings: JSON; times in ms since the epoch. Numbers are never given twice.
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        rule_id TEXT NOT NULL,
        rule_name TEXT NOT NULL,
        source TEXT NOT NULL,
        type TEXT NOT NULL,
        started INTEGER NOT NULL,
        finished INTEGER NOT NULL,
        windows TEXT NOT NULL,
        status TEXT NOT NULL,
        candidates INTEGER NOT NULL,
        excepted INTEGER NOT NULL,
        known INTEGER NOT NULL,
        alerts INTEGER NOT NULL,
        suppressed INTEGER NOT NULL,
        overflow INTEGER NOT NULL,
        warnings TEXT NOT NULL,
        error TEXT NOT NULL,
        took_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX runs_by_rule ON runs (rule_id, number)",
    """
    CREATE TABLE gaps (
        number INTEGER PRIMARY KEY,
        rule_id TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        filled_at INTEGER
    ) STRICT
    """,
    "CREATE INDEX gaps_by_rule ON gaps (rule_id, start)",
    # Alert ids of documents that an alert took in: they make none themselves in the next window either.
    "CREATE TABLE suppressed (uuid TEXT PRIMARY KEY, time INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # By their own number, which is that of the commit: alerts are numbered by when they were found.
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL) STRICT",
    # How far each sink is in the outbox, and when a run last had it.
    """
    CREATE TABLE deliveries (
        sink TEXT PRIMARY KEY,
        delivered INTEGER NOT NULL,
        seen INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
_FIFTH = (
    # kibana.alert.workflow_status: open, acknowledged or closed.
    "ALTER TABLE alerts ADD COLUMN status TEXT NOT NULL DEFAULT 'open'",
    # Suppression windows that outlast a run; uuid: of the alert that takes matches in. Times in ms since the epoch.
    """
    CREATE TABLE suppression_groups (
        key TEXT PRIMARY KEY,
        uuid TEXT NOT NULL,
        first INTEGER NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
_SIXTH = (
    # number: as of accesses, by when the story began, since retention takes the oldest off one end. times in ms since
    # the epoch.
    """
    CREATE TABLE stories (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        last INTEGER NOT NULL,
        level TEXT NOT NULL,
        document BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX stories_by_time ON stories (last)",
    "ALTER TABLE sizes ADD COLUMN stories INTEGER NOT NULL DEFAULT 0",
)
_SEVENTH = (
    # Few of many are critical, or open: each severity and status is listed and counted by itself.
    "DROP INDEX alerts_by_time",
    "CREATE INDEX alerts_by_choice ON alerts (kind, severity, status, time)",
)


def _begin(database: sqlite3.Connection) -> None:
    for statement in _FIRST:
        database.execute(statement)


def _split_rules_off(database: sqlite3.Connection) -> None:
    for statement in _SECOND:
        database.execute(statement)
    _tell_overflow(database)
    for uuid, moment, severity, document in database.execute(
        "SELECT uuid, time, severity, document FROM alerts_of_1 ORDER BY time"
    ):
        write(database, [], [alert_row_of_1(uuid, moment, severity, document)])
    database.execute("DROP TABLE alerts_of_1")


def _tell_overflow(database: sqlite3.Connection) -> None:
    """Does nothing where it was done: rows of a store of schema 1 are written in today's form already."""
    if "kind" not in {row[1] for row in database.execute("PRAGMA table_info(alerts)")}:
        for statement in _THIRD:
            database.execute(statement)


def _remember_runs(database: sqlite3.Connection) -> None:
    for statement in _FOURTH:
        database.execute(statement)


def _let_people_answer(database: sqlite3.Connection) -> None:
    for statement in _FIFTH:
        database.execute(statement)


def _tell_stories(database: sqlite3.Connection) -> None:
    for statement in _SIXTH:
        database.execute(statement)


def _find_by_choice(database: sqlite3.Connection) -> None:
    for statement in _SEVENTH:
        database.execute(statement)


MIGRATIONS = (
    *(_begin, _split_rules_off, _tell_overflow, _remember_runs, _let_people_answer, _tell_stories),
    _find_by_choice,
)
"""What makes each schema version of the one before; PRAGMA user_version says how many were applied."""

_MOST_LOG = 16 << 20
"""Bytes that the write-ahead log keeps on disk after a checkpoint."""
_PATIENCE = 1.0
"""Seconds to wait for another process that begins the same store."""


class LaterSchemaError(Exception):
    """The store was written by a later sockwarden."""


def prepare(database: sqlite3.Connection) -> None:
    """Sets a connection in autocommit mode up and brings the schema to this version."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise LaterSchemaError(f"schema {version}, this one knows {len(MIGRATIONS)}")
    # Pages are given back without rewriting the file. Only an empty file takes this at once, and before WAL.
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    log_ahead(database, _PATIENCE)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA journal_size_limit = {_MOST_LOG}")
    if version == len(MIGRATIONS):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        # Again, under the lock: another process may have migrated meanwhile.
        version = database.execute("PRAGMA user_version").fetchone()[0]
        for number in range(version, len(MIGRATIONS)):
            MIGRATIONS[number](database)
            database.execute(f"PRAGMA user_version = {number + 1}")
        database.execute("COMMIT")
    except BaseException:
        database.rollback()
        raise
    if database.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:  # of schema 1, whose file could not shrink
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("VACUUM")
