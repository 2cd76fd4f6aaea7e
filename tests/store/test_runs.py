"""Records of runs, gaps, and what becomes of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sockwarden.errors import InputError
from sockwarden.store import Gap, Run, Store
from sockwarden.store.rows import alert_row
from sockwarden.store.runs import MOST_RUNS
from sockwarden.store.schema import _FIRST, _SECOND

Make = Callable[..., dict[str, Any]]
S = 1_795_000_000_000
DAY = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, create=True) as store:
        yield store


def run(rule: str = "r", started: int = S, **more: Any) -> Run:
    values = {"windows": ((started - 9, started),), **more}
    return Run(rule_id=rule, rule_name=rule.upper(), source="store", started=started, finished=started + 1, **values)


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    one = run(
        windows=((1, 2), (3, 4)),
        status="partial",
        candidates=9,
        excepted=1,
        known=2,
        alerts=3,
        suppressed=4,
        overflow=5,
        warnings=("ä \x1b", "b"),
        error="e",
        took_ms=7,
    )
    number = store.runs.commit(one)
    assert store.runs.newest(9) == [Run(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "number": number})]


def test_text_that_utf8_cannot_hold(store: Store) -> None:
    store.runs.commit(run("r\udcff", warnings=("w\udcff",), error="\udcff"))
    (found,) = store.runs.newest(9)
    assert (found.rule_id, found.error) == ("r?", "?")


def test_the_last_run_that_counts(store: Store) -> None:
    store.runs.commit(run(started=S))
    store.runs.commit(run(started=S + 1, status="partial"))
    store.runs.commit(run(started=S + 2, status="failed"))
    store.runs.commit(run(started=S + 3, type="manual"))
    store.runs.commit(run("other", started=S + 4))
    last = store.runs.last("r")
    assert last and last.started == S + 1
    assert store.runs.last("none") is None
    assert (store.runs.count("r"), store.runs.count()) == (4, 5)


def test_a_run_of_another_process_in_between(store: Store) -> None:
    first = store.runs.commit(run(), after=0)
    with pytest.raises(InputError, match="meanwhile"):
        store.runs.commit(run(started=S + 5), after=0)
    store.runs.commit(run(started=S + 5), after=first)
    assert store.runs.count() == 2


def test_gaps_are_filled_piece_by_piece(store: Store) -> None:
    store.runs.commit(run(), gaps=[(0, 100)])
    (gap,) = store.runs.gaps("r")
    store.runs.commit(run(type="manual"), filled=[(gap, ((0, 40), (60, 100)))])
    left = store.runs.gaps("r")
    assert [(one.start, one.end) for one in left] == [(0, 40), (60, 100)]
    store.runs.commit(run(type="manual"), filled=[(left[0], ()), (left[1], ((60, 80),))])
    assert [(one.start, one.end) for one in store.runs.gaps("r")] == [(60, 80)]
    every = store.runs.gaps("r", filled=True)
    assert [(one.start, one.end, one.filled_at is not None) for one in every] == [
        (0, 40, True),
        (40, 60, True),
        (60, 80, False),
        (80, 100, True),
    ]


def test_nothing_of_a_run_stays_that_is_not_committed(store: Store, alert: Make) -> None:
    staged = store.runs.staging()
    staged.add(alert(1))
    uuid = alert(1)["kibana"]["alert"]["uuid"]
    assert staged.known(uuid)
    with pytest.raises(InputError):
        store.runs.commit(run(), staged, gaps=[(1, 2)], after=99)
    assert (store.count(), store.runs.count(), store.runs.gaps()) == (0, 0, [])
    assert not store.runs.staging().known(uuid)


def test_staging_locks_nobody_out(store: Store, alert: Make, access: Make) -> None:
    staged = store.runs.staging()
    for number in range(50):
        staged.add(alert(number))
        assert not staged.known(alert(number + 1)["kibana"]["alert"]["uuid"])
    with Store(store.path.parent, create=False, wait=0) as other:
        other.add_accesses([access(1)])
        other.add([alert(7)])
    store.outbox.join(["file"], 0)
    store.runs.commit(run(), staged)
    assert store.count() == 50
    assert store.outbox.count("file") == 49, "what a watch kept meanwhile, the watch delivers"


def test_old_runs_go_but_the_next_run_still_knows_the_last(store: Store) -> None:
    store.runs.commit(run("quiet", started=S), gaps=[(S - 9, S - 5)])
    store.runs.commit(run("busy", started=S))
    store.runs.commit(run("busy", started=S + 40 * DAY))
    store.runs.prune(30, S + 40 * DAY)
    assert [(one.rule_id, one.started) for one in store.runs.newest(9)] == [("busy", S + 40 * DAY), ("quiet", S)]
    assert store.runs.gaps() == []


def test_so_many_runs_are_kept(store: Store) -> None:
    with closing(sqlite3.connect(store.path)) as database:
        store.runs.commit(run())
        fields = ", ".join(one for one in Run.__struct_fields__ if one not in ("number", "started"))
        database.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "  # noqa: S608 - own names
            f"INSERT INTO runs (started, {fields}) SELECT started + i, {fields} FROM runs, n",
            (MOST_RUNS + 50,),
        )
        database.commit()
    store.runs.prune(30, S)
    assert store.runs.count() == MOST_RUNS
    last = store.runs.last("r")
    assert last and last.started == S + MOST_RUNS + 50


def test_a_store_of_schema_2(tmp_path: Path, access: Make, alert: Make) -> None:
    """Its alerts have no kind, and it has no runs."""
    row = alert_row(alert(1))
    with closing(sqlite3.connect(tmp_path / "sockwarden.db", isolation_level=None)) as database:
        for statement in (*_FIRST, *_SECOND, "DROP TABLE alerts_of_1", "PRAGMA user_version = 2"):
            database.execute(statement)
        values = (1 << 50, row.uuid, row.time, row.severity, None, row.document)
        database.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?)", values)
    with Store(tmp_path, create=False) as store:
        assert [one["kibana"]["alert"]["uuid"] for one in store.newest(9)] == [row.uuid]
        assert store.add([alert(1), alert(2)]) == [False, True]
        assert list(store.newest(9, kind="overflow")) == []
        store.runs.commit(run(), gaps=[(1, 2)])
        assert store.runs.gaps() == [Gap(1, "r", 1, 2)]
        assert store.add_accesses([access(1)]) == [True]


def overflow(store: Store, alerts: list[dict[str, Any]]) -> None:
    staged = store.runs.staging()
    for one in alerts:
        staged.add(one, overflow=True)
    store.runs.commit(run(), staged)


def sizes(store: Store) -> tuple[int, int]:
    with closing(sqlite3.connect(store.path)) as database:
        told = database.execute("SELECT alerts FROM sizes").fetchone()[0]
        return told, database.execute("SELECT coalesce(sum(length(document)), 0) FROM alerts").fetchone()[0]


def test_overflow_becomes_an_alert_and_never_the_other_way(store: Store, alert: Make) -> None:
    overflow(store, [alert(1), alert(2)])
    assert (store.count(), store.count(kind="overflow")) == (0, 2)
    assert store.find(alert(1)["kibana"]["alert"]["uuid"]) == alert(1)
    assert store.add([{**alert(1), "more": "x" * 99}]) == [True]
    assert (store.count(), store.count(kind="overflow")) == (1, 1)
    overflow(store, [alert(1)])
    assert (store.count(), store.count(kind="overflow")) == (1, 1)
    assert sizes(store)[0] == sizes(store)[1] > 0


def test_overflow_goes_before_alerts(tmp_path: Path, access: Make, alert: Make) -> None:
    def heavy(number: int) -> dict[str, Any]:
        return {**alert(number), "noise": access(number, padding=8000)}

    with Store(tmp_path, create=True) as store:
        store.add([heavy(number) for number in range(100)])
        for first in range(100, 1100, 500):
            overflow(store, [heavy(number) for number in range(first, first + 500)])
        store.prune(30, 4 << 20, S / 1000)
        assert store.count() == 100
        assert 0 < store.count(kind="overflow") < 1000
        assert sizes(store)[0] == sizes(store)[1]
        store.prune(30, 256 << 10, S / 1000)
        assert store.count(kind="overflow") == 0
        assert 0 < store.count() < 100
