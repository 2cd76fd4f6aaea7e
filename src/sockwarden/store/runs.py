"""What runs of rules leave in the store: a record each, the gaps, and what they found, all in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import msgspec

from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.store.failures import failure
from sockwarden.store.staging import Staging

Status = Literal["succeeded", "partial", "failed"]
Stretch = tuple[int, int]
"""From when to when, both inclusive, in ms since the epoch."""

MOST_RUNS = 10_000
_DAY_MS = 86_400_000
_INSERT_RUN = """
INSERT INTO runs VALUES (NULL, :rule_id, :rule_name, :source, :type, :started, :finished, :windows, :status,
    :candidates, :excepted, :known, :alerts, :suppressed, :overflow, :warnings, :error, :took_ms)
"""
_LAST = """
SELECT * FROM runs WHERE rule_id = ? AND type = 'scheduled' AND status <> 'failed' ORDER BY number DESC LIMIT 1
"""
_NEWEST = "SELECT * FROM runs WHERE :rule IS NULL OR rule_id = :rule ORDER BY number DESC LIMIT :most"
_GAPS = """
SELECT number, rule_id, start, end, filled_at FROM gaps
WHERE (:rule IS NULL OR rule_id = :rule) AND (:filled OR filled_at IS NULL) ORDER BY start, number
"""
_RAN_MEANWHILE = "a run of this rule was committed meanwhile by another process"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one run of a rule.

    type       scheduled, or manual where a person filled a gap
    started, finished  in ms since the epoch; took_ms: by a clock that is never set back
    windows    what it looked at, the oldest first; the last one is its own
    status     partial: with warnings
    candidates documents that the source gave; excepted, known, suppressed: of those; alerts: new ones; overflow: beyond
               max_signals, kept beside
    error      why it failed; a failed run has found nothing
    number     its place among all runs; 0 before it is committed
    """

    rule_id: str
    rule_name: str
    source: str
    type: Literal["scheduled", "manual"] = "scheduled"
    started: int
    finished: int
    windows: tuple[Stretch, ...] = ()
    status: Status = "succeeded"
    candidates: int = 0
    excepted: int = 0
    known: int = 0
    alerts: int = 0
    suppressed: int = 0
    overflow: int = 0
    warnings: tuple[str, ...] = ()
    error: str = ""
    took_ms: int = 0
    number: int = 0


class Gap(msgspec.Struct, frozen=True):
    """A stretch that no run of a rule has looked at; filled_at: when a person had it filled, in ms, else None."""

    number: int
    rule_id: str
    start: int
    end: int
    filled_at: int | None = None


class Runs:
    """The runs of this store. Methods raise InputError when it cannot be read or written."""

    def __init__(
        self, path: Path, database: sqlite3.Connection, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._path = path
        self._database = database
        self._transaction = transaction

    def last(self, rule_id: str) -> Run | None:
        """The last scheduled run of a rule that did not fail."""
        return next(map(_run, self._rows(_LAST, (rule_id,))), None)

    def newest(self, most: int, rule_id: str | None = None) -> list[Run]:
        """Runs, the newest first."""
        return list(map(_run, self._rows(_NEWEST, {"rule": rule_id, "most": most})))

    def count(self, rule_id: str | None = None) -> int:
        """How many runs there are."""
        rows = self._rows("SELECT count(*) FROM runs WHERE :rule IS NULL OR rule_id = :rule", {"rule": rule_id})
        return int(next(rows)[0])

    def gaps(self, rule_id: str | None = None, *, filled: bool = False) -> list[Gap]:
        """Gaps, the oldest first; those that were filled too where asked for."""
        return [Gap(*row) for row in self._rows(_GAPS, {"rule": rule_id, "filled": filled})]

    def staging(self) -> Staging:
        """A new place for what a run finds; what an earlier one left there is gone."""
        return Staging(self._path, self._database)

    def commit(
        self,
        run: Run,
        staged: Staging | None = None,
        *,
        gaps: Iterable[Stretch] = (),
        filled: Iterable[tuple[Gap, tuple[Stretch, ...]]] = (),
        after: int | None = None,
    ) -> int:
        """Makes everything of a run lasting, or nothing of it. The number of the run.

        gaps: found by it. filled: gaps that it looked into, with what is left of each. after: the number of the last
        run that it was planned by, 0 for none: InputError when another process has committed one since.
        """
        with self._transaction():
            if after is not None and (self._last_number(run.rule_id) or 0) != after:
                raise InputError(_RAN_MEANWHILE, where=str(self._path), todo="Let only one `sockwarden run` work here.")
            number = self._database.execute(_INSERT_RUN, _values(run)).lastrowid or 0
            for start, end in gaps:
                self._add_gap(run.rule_id, start, end)
            for gap, rest in filled:
                self._fill(gap, rest, run.finished)
            if staged:
                staged.move()
        return number

    def prune(self, max_age_days: float, now: int) -> None:
        """Forgets runs beyond MOST_RUNS and what is too old; of each rule the last run that did not fail stays, since
        the next one counts from it. now: in ms since the epoch.
        """
        oldest = now - int(max_age_days * _DAY_MS)
        with self._transaction():
            self._database.execute(
                """
                DELETE FROM runs WHERE (started < ? OR number <= (SELECT max(number) FROM runs) - ?) AND number NOT IN
                (SELECT max(number) FROM runs WHERE type = 'scheduled' AND status <> 'failed' GROUP BY rule_id)
                """,
                (oldest, MOST_RUNS),
            )
            self._database.execute("DELETE FROM gaps WHERE end < ?", (oldest,))
            self._database.execute("DELETE FROM suppressed WHERE time < ?", (oldest,))
            self._database.execute("DELETE FROM suppression_groups WHERE end < ?", (oldest,))

    def _last_number(self, rule_id: str) -> int | None:
        query = "SELECT max(number) FROM runs WHERE rule_id = ? AND type = 'scheduled' AND status <> 'failed'"
        found: int | None = self._database.execute(query, (rule_id,)).fetchone()[0]
        return found

    def _add_gap(self, rule_id: str, start: int, end: int, filled_at: int | None = None) -> None:
        insert = "INSERT INTO gaps (rule_id, start, end, filled_at) VALUES (?, ?, ?, ?)"
        self._database.execute(insert, (rule_id, start, end, filled_at))

    def _fill(self, gap: Gap, rest: tuple[Stretch, ...], now: int) -> None:
        """The gap's row becomes what was filled of it; what is left becomes rows of its own."""
        start = rest[0][1] if rest and rest[0][0] == gap.start else gap.start
        end = rest[-1][0] if rest and rest[-1][1] == gap.end else gap.end
        update = "UPDATE gaps SET start = ?, end = ?, filled_at = ? WHERE number = ?"
        self._database.execute(update, (start, end, now, gap.number))
        for left in rest:
            self._add_gap(gap.rule_id, *left)

    def _rows(self, query: str, values: Any) -> Iterator[Any]:
        try:
            yield from self._database.execute(query, values)
        except sqlite3.Error as error:
            raise failure(self._path, error) from error


def _values(run: Run) -> Document:
    """As SQLite takes it: JSON for lists, no lone surrogate."""
    fields = msgspec.structs.asdict(run)
    for name, value in fields.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else value
        fields[name] = text.encode("utf-8", "replace").decode() if isinstance(text, str) else value
    return fields


def _run(row: Any) -> Run:
    number, *values = row
    fields: Document = dict(zip(Run.__struct_fields__, values, strict=False))
    fields["windows"], fields["warnings"] = (msgspec.json.decode(fields[name]) for name in ("windows", "warnings"))
    return msgspec.convert({**fields, "number": number}, Run)
