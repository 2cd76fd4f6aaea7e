"""The store: SQLite in WAL mode; accesses and alerts as whole documents beside the columns they are found by.

The folder is 0700 and the file 0600: they carry command lines and paths of others. A commit survives the end of the
process, the last few not the loss of power (synchronous = NORMAL).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import msgspec

from sockwarden.alerts import SEVERITIES, GroupState, counted
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.store import retention
from sockwarden.store.failures import failure
from sockwarden.store.identities import hexadecimal, only
from sockwarden.store.outbox import Outbox
from sockwarden.store.retention import Removed
from sockwarden.store.rows import (
    WORKFLOW,
    AccessRow,
    AlertRow,
    Kind,
    Workflow,
    access_row,
    alert_row,
    amend,
    id_of,
    raise_,
    unpack,
    write,
)
from sockwarden.store.runs import Runs
from sockwarden.store.schema import LaterSchemaError, prepare
from sockwarden.store.source import StoreSource
from sockwarden.store.stories import StoryShelf

_OF_RULE = """AND (:rule IS NULL OR alerts.rule IN (
    SELECT number FROM rules WHERE rule_id = :rule OR name = :rule COLLATE NOCASE
))"""
_NEWEST = f"""SELECT time, uuid, alerts.document, rules.document
FROM alerts LEFT JOIN rules ON rules.number = alerts.rule
WHERE kind = :kind AND severity = :severity AND status = :status {_OF_RULE}
ORDER BY time DESC, uuid DESC LIMIT :most"""  # noqa: S608 - of constants
_COUNT = f"""SELECT count(*) FROM alerts WHERE kind = :kind AND severity IN (SELECT value FROM json_each(:severities))
AND status IN (SELECT value FROM json_each(:statuses)) {_OF_RULE}"""  # noqa: S608 - likewise
_CHOSEN_ACCESSES = """FROM accesses WHERE (:runtime IS NULL OR runtime = :runtime)
AND (:origin IS NULL OR origin = :origin) AND (:socket IS NULL OR socket = :socket)"""


class Store:
    """The accesses and alerts of this machine. Use as a context manager.

    runs: of the scheduled engine; outbox: their alerts until they are delivered; source: accesses, as that engine asks;
    stories: of what one actor did.
    wait: seconds to wait for another process that writes. Every method raises InputError when the store cannot be
    read or written; it says why and what to do.
    """

    def __init__(self, folder: Path, *, create: bool, wait: float = 10) -> None:
        self.path = folder / "sockwarden.db"
        try:
            if not create and not self.path.exists():
                raise _none_yet(self.path)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _made(self.path)
            self._database = sqlite3.connect(self.path, timeout=wait, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise failure(self.path, error) from error
        try:
            prepare(self._database)
        except (sqlite3.Error, LaterSchemaError) as error:
            self._database.close()
            if isinstance(error, LaterSchemaError):
                raise InputError(
                    f"the store is of a later sockwarden ({error})",
                    where=str(self.path),
                    todo="Upgrade sockwarden, or name another store with --state.",
                ) from None
            raise failure(self.path, error) from error
        self.runs = Runs(self.path, self._database, self._transaction)
        self.outbox = Outbox(self.path, self._database, self._transaction)
        self.source = StoreSource(self.path, self._database)
        self.stories = StoryShelf(self.path, self._database, self._transaction)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; what was committed stays."""
        self._database.close()

    def moved(self) -> bool:
        """Whether the file was deleted, renamed or replaced since it was opened."""
        try:
            return not os.path.samestat(self.path.lstat(), self._file)
        except OSError:
            return True

    def let_go(self) -> None:
        """Closes a file that was moved: what is in its write-ahead log is put into it first, where it still can be."""
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._database.close()

    def add(self, alerts: Iterable[Document]) -> list[bool]:
        """Keeps alerts, each once whatever is added again; tells which are new."""
        return self.write([], [alert_row(alert) for alert in alerts])[1]

    def add_accesses(self, accesses: Iterable[Document]) -> list[bool]:
        """Keeps accesses, each once by its `_id`; tells which are new."""
        return self.write([access_row(access) for access in accesses], [])[0]

    def write(
        self, accesses: Sequence[AccessRow], alerts: Sequence[AlertRow], raised: Sequence[AlertRow] = ()
    ) -> tuple[list[bool], list[bool]]:
        """Keeps rows in one transaction; tells which accesses and which alerts are new. raised: alerts that are there
        and are more severe now.
        """
        with self._transaction():
            new = write(self._database, accesses, alerts)
            for row in raised:
                raise_(self._database, row)
            return new

    def grow(self, groups: Mapping[str, GroupState]) -> set[str]:
        """Lets alerts tell what they took in since; by their uuid. Those are returned that are to take nothing in any
        more: a person has closed them, or they are gone.
        """
        query = "SELECT 1 FROM alerts WHERE uuid = ? AND status <> 'closed'"
        with self._transaction():
            for uuid, state in groups.items():
                amend(self._database, uuid, {"suppression": counted(state)})
            return {uuid for uuid in groups if not self._database.execute(query, (uuid,)).fetchone()}

    def has_access(self, ids: Iterable[str]) -> set[str]:
        """Those of these `_id`s under which an access is kept."""
        query = "SELECT 1 FROM accesses WHERE id = ?"
        return {one for one in ids if self._row(query, (id_of(one),))}

    def prune(
        self, max_age_days: float, max_bytes: int, now: float, *, goes_on: Callable[[], bool] = lambda: True
    ) -> Removed:
        """Removes what is older, then the oldest until the file is no larger: of accesses or alerts, whichever take
        more space.

        now: seconds since the epoch. goes_on: asked between steps, each of which takes some tens of milliseconds.
        Some MB of it are left to the write-ahead log beside the file.
        """
        removed = Removed(unfinished=True)
        while removed.unfinished:
            with self._transaction():
                done = retention.step(self._database, max_age_days, max_bytes, now)
            removed = Removed(
                removed.accesses + done.accesses,
                removed.alerts + done.alerts,
                removed.stories + done.stories,
                done.unfinished,
            )
            if not goes_on():
                break
        return removed

    def answer(self, prefixes: Sequence[str], status: Workflow, *, user: str, at: str) -> list[str]:
        """Notes on alerts how far a person is with them: on all, or where an id names none, on none. Their uuids.

        prefixes: of uuids. at: when, ISO 8601.
        """
        uuids = list(dict.fromkeys(str(get(self.find(prefix), "kibana.alert.uuid")) for prefix in prefixes))
        changed = {"workflow_status": status, "workflow_status_updated_at": at, "workflow_user": user}
        with self._transaction():
            for uuid in uuids:
                amend(self._database, uuid, changed)
                self._database.execute("UPDATE alerts SET status = ? WHERE uuid = ?", (status, uuid))
        return uuids

    def newest(
        self,
        most: int,
        *,
        severities: Sequence[str] = SEVERITIES,
        rule: str | None = None,
        kind: Kind = "alert",
        statuses: Sequence[Workflow] = WORKFLOW,
    ) -> Iterator[Document]:
        """Alerts, or what was beyond max_signals, the newest first."""
        asked = {"rule": rule, "kind": kind, "most": most}
        with self._reading():
            found = [
                self._database.execute(_NEWEST, {**asked, "severity": severity, "status": status})
                for severity in dict.fromkeys(severities)
                for status in dict.fromkeys(statuses)
            ]
            for _, _, alert, of_rule in islice(merge(*found, key=itemgetter(0, 1), reverse=True), most):
                yield unpack(alert, of_rule)

    def newest_accesses(
        self, most: int, *, runtime: str | None = None, origin: str | None = None, socket: str | None = None
    ) -> Iterator[Document]:
        """Accesses, the newest first; socket: its canonical address."""
        yield from self._documents(
            f"SELECT document {_CHOSEN_ACCESSES} ORDER BY number DESC LIMIT :most",
            {"runtime": runtime, "origin": origin, "socket": socket, "most": most},
        )

    def count(
        self,
        *,
        severities: Sequence[str] = SEVERITIES,
        rule: str | None = None,
        kind: Kind = "alert",
        statuses: Sequence[Workflow] = WORKFLOW,
    ) -> int:
        """How many alerts there are."""
        lists = {"severities": severities, "statuses": statuses}
        chosen = {name: msgspec.json.encode(values).decode() for name, values in lists.items()}
        return int(self._row(_COUNT, {"rule": rule, "kind": kind, **chosen})[0])

    def count_accesses(
        self, *, runtime: str | None = None, origin: str | None = None, socket: str | None = None
    ) -> int:
        """How many accesses there are."""
        values = {"runtime": runtime, "origin": origin, "socket": socket}
        return int(self._row(f"SELECT count(*) {_CHOSEN_ACCESSES}", values)[0])

    def find(self, prefix: str) -> Document:
        """The one alert whose uuid starts so."""
        prefix = hexadecimal(prefix, "alert")
        found = self._documents(
            "SELECT alerts.document, rules.document FROM alerts LEFT JOIN rules ON rules.number = alerts.rule "
            "WHERE uuid >= :from AND uuid < :to LIMIT 2",
            {"from": prefix, "to": prefix + "g"},
        )
        return only(list(found), "alert", prefix)

    def find_access(self, prefix: str) -> Document:
        """The one access whose `_id` starts so."""
        prefix = hexadecimal(prefix, "access")
        found = self._documents(
            "SELECT document FROM accesses WHERE id BETWEEN :from AND :to LIMIT 2",
            {"from": bytes.fromhex(f"{prefix:0<32.32}"), "to": bytes.fromhex(f"{prefix:f<32.32}")},
        )
        return only(list(found), "access", prefix)

    def _documents(self, query: str, values: dict[str, Any]) -> Iterator[Document]:
        with self._reading():
            for parts in self._database.execute(query, values):
                yield unpack(*parts)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
            raise failure(self.path, error) from error

    def _row(self, query: str, values: Any) -> Any:
        try:
            return self._database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise failure(self.path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise failure(self.path, error) from error


def _none_yet(path: Path) -> InputError:
    todo = "Fill it with `sockwarden watch` or `sockwarden hunt --store PATH`, or name another with --state."
    return InputError("there is no store yet", where=str(path), todo=todo)


def _made(path: Path) -> os.stat_result:
    """The file, made where there is none. It is not opened where there is one: to close it again would take away the
    locks of this process's other connections (POSIX record locks).
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        code = errno.ELOOP if stat.S_ISLNK(found.st_mode) else errno.EINVAL
        raise OSError(code, "not a regular file")
    # Of a read-only file system SQLite says no more than that it cannot open the file.
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise OSError(errno.EACCES, "read-only to this user")
    return found
