"""The store: SQLite in WAL mode, whole alerts as JSON beside the columns they are found by.

The folder is 0700 and the file 0600: alerts carry command lines and paths of others.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from sockwarden.alerts import SEVERITIES
from sockwarden.document import Document, get
from sockwarden.errors import InputError, UsageError

_MIGRATIONS = (
    """
    CREATE TABLE alerts (
        uuid TEXT PRIMARY KEY,
        time TEXT NOT NULL,
        rule_id TEXT NOT NULL,
        rule_name TEXT NOT NULL,
        severity TEXT NOT NULL,
        risk_score INTEGER NOT NULL,
        document BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alerts_by_time ON alerts (time);
    """,
)
"""One script a schema version; PRAGMA user_version says how many ran."""

_CHOSEN = """FROM alerts WHERE severity IN (SELECT value FROM json_each(:severities))
AND (:rule IS NULL OR rule_id = :rule OR rule_name = :rule COLLATE NOCASE)"""


class Store:
    """The alerts of this machine. Use as a context manager."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        self.path = folder / "sockwarden.db"
        if not create and not self.path.exists():
            raise InputError(
                "there is no store yet",
                where=str(self.path),
                todo="Fill it with `sockwarden hunt --store PATH`, or name another with --state.",
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(self.path, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise self._broken(error) from error
        try:
            self._migrate()
        except (sqlite3.Error, InputError) as error:
            self._database.close()
            raise error if isinstance(error, InputError) else self._broken(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, alerts: Iterable[Document]) -> int:
        """Keeps alerts, each once whatever is added again; gives how many are new."""
        before = self._database.total_changes
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, alerts)
                )
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return self._database.total_changes - before

    def newest(
        self, most: int, *, severities: Sequence[str] = SEVERITIES, rule: str | None = None
    ) -> Iterator[Document]:
        """Alerts, the newest first."""
        yield from self._documents(
            f"SELECT document {_CHOSEN} ORDER BY time DESC, uuid LIMIT :most",
            {**_choice(severities, rule), "most": most},
        )

    def count(self, *, severities: Sequence[str] = SEVERITIES, rule: str | None = None) -> int:
        """How many alerts there are."""
        try:
            return int(self._database.execute(f"SELECT count(*) {_CHOSEN}", _choice(severities, rule)).fetchone()[0])
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def find(self, prefix: str) -> Document:
        """The one alert whose uuid starts so."""
        prefix = prefix.lower()
        if not prefix or set(prefix) - set("0123456789abcdef"):
            raise UsageError(
                "that is no alert's id",
                where=prefix[:80],
                todo="An id is hexadecimal, as `sockwarden alerts list` shows it.",
            )
        found = list(
            self._documents(
                "SELECT document FROM alerts WHERE uuid >= :from AND uuid < :to LIMIT 2",
                {"from": prefix, "to": prefix + "g"},
            )
        )
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError("more than one alert's id starts so", where=prefix, todo="Give more of the id.")
        raise UsageError("no alert has that id", where=prefix, todo="See `sockwarden alerts list`.")

    def _documents(self, query: str, values: dict[str, Any]) -> Iterator[Document]:
        try:
            for (document,) in self._database.execute(query, values):
                yield msgspec.json.decode(document)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise self._broken(error) from error

    def _migrate(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_MIGRATIONS):
            raise InputError(
                f"the store is of a later sockwarden (schema {version}, this one knows {len(_MIGRATIONS)})",
                where=str(self.path),
                todo="Upgrade sockwarden, or name another store with --state.",
            )
        for number in range(version, len(_MIGRATIONS)):
            self._database.executescript(f"BEGIN; {_MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;")

    def _broken(self, error: Exception) -> InputError:
        return InputError(
            "the store cannot be used",
            where=str(self.path),
            why=str(error),
            todo="Check the folder's owner and free space, move a damaged file away, or name another with --state.",
        )


def _row(alert: Document) -> tuple[str, str, str, str, str, int, bytes]:
    fields = ("kibana.alert.uuid", "@timestamp", "kibana.alert.rule.rule_id", "kibana.alert.rule.name")
    uuid, time, rule_id, name = (str(get(alert, field) or "") for field in fields)
    severity, risk = str(get(alert, "kibana.alert.severity")), int(get(alert, "kibana.alert.risk_score") or 0)
    return uuid, time, rule_id, name, severity, risk, msgspec.json.encode(alert)


def _choice(severities: Sequence[str], rule: str | None) -> dict[str, Any]:
    return {"severities": msgspec.json.encode(severities).decode(), "rule": rule}
