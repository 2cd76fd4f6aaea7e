"""Retention: by age and by size, of accesses and alerts those that take more; the file shrinks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sockwarden.store import Removed, Store

Make = Callable[..., dict[str, Any]]

DAY = 86_400
MIB = 1 << 20
PLENTY = 1 << 40


def test_by_age(tmp_path: Path, access: Make) -> None:
    now = 1_795_000_000.0
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(day, time=now - day * DAY) for day in range(1, 11)])
        assert store.prune(7.5, PLENTY, now) == Removed(accesses=3)
        assert [one["process"]["pid"] for one in store.newest_accesses(99)] == list(range(1, 8))
        assert store.prune(7.5, PLENTY, now) == Removed()


def test_an_alert_ages_from_when_it_was_kept(tmp_path: Path, alert: Make) -> None:
    with Store(tmp_path, create=True) as store:
        store.add([alert(1, time=0.0)])
        assert store.prune(1, PLENTY, time.time()) == Removed()
        assert store.prune(1, PLENTY, time.time() + 2 * DAY) == Removed(alerts=1)


def test_by_size_the_oldest_accesses_first(tmp_path: Path, access: Make, alert: Make) -> None:
    now = time.time()
    with Store(tmp_path, create=True) as store:
        store.add([alert(number) for number in range(100)])
        for begin in range(0, 8000, 1000):
            store.add_accesses([access(n, time=now - 9000 + n, padding=512) for n in range(begin, begin + 1000)])
        limit = 2 * MIB
        removed = store.prune(30, limit, now)
        left = store.count_accesses()
        assert 0 < left == 8000 - removed.accesses
        assert removed.alerts == 0 and store.count() == 100
        assert [one["process"]["pid"] for one in store.newest_accesses(9999)] == list(range(7999, 7999 - left, -1))
        path = store.path
        assert store.prune(30, limit, now) == Removed()
    assert MIB < path.stat().st_size <= limit


def test_a_flood_of_alerts_takes_no_access(tmp_path: Path, access: Make, alert: Make) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(number) for number in range(100)])
        store.add([alert(number) for number in range(8000)])
        removed = store.prune(36_500, MIB, time.time())
        assert removed.accesses == 0
        assert 0 < removed.alerts < 8000
        assert (store.count_accesses(), store.count()) == (100, 8000 - removed.alerts)
        path = store.path
    assert path.stat().st_size <= MIB


def test_a_flood_of_both_leaves_some_of_both(tmp_path: Path, access: Make, alert: Make) -> None:
    now = time.time()
    with Store(tmp_path, create=True) as store:
        for begin in range(0, 8000, 1000):
            numbers = range(begin, begin + 1000)
            store.add_accesses([access(number, time=now) for number in numbers])
            store.add([alert(number) for number in numbers])
            store.prune(30, MIB, now)
        accesses, alerts = store.count_accesses(), store.count()
    assert min(accesses, alerts) > 500
    assert accesses + alerts < 12_000


def test_rules_go_with_their_last_alert(tmp_path: Path, alert: Make) -> None:
    now = time.time()
    other = alert(2)
    other["kibana"]["alert"]["rule"] = {"rule_id": "r2", "name": "Another"}
    with Store(tmp_path, create=True) as store:
        store.add([alert(1), other])
        path = store.path
        with closing(sqlite3.connect(path)) as database, database:
            # number is time in ms and a counter of 20 bits
            number = "SELECT number FROM alerts WHERE uuid = ?"
            (old,) = database.execute(number, (other["kibana"]["alert"]["uuid"],)).fetchone()
            database.execute("UPDATE alerts SET number = ? WHERE number = ?", (1, old))
        assert store.prune(1, PLENTY, now) == Removed(alerts=1)
        assert store.count(rule="r1") == 1
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT rule_id FROM rules").fetchall() == [("r1",)]


def test_a_limit_below_an_empty_store_ends(tmp_path: Path, access: Make, alert: Make) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(1)])
        store.add([alert(1)])
        assert store.prune(36_500, 1, time.time()) == Removed(accesses=1, alerts=1)


def test_in_steps(tmp_path: Path, access: Make) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(number, time=number) for number in range(5000)])
        first = store.prune(1, PLENTY, time.time(), goes_on=lambda: False)
        assert first.unfinished
        assert 0 < first.accesses < 5000
        rest = store.prune(1, PLENTY, time.time())
        assert first.accesses + rest.accesses == 5000
        assert not rest.unfinished
