"""The keeper goes on when the store does not, and says so once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sockwarden.store import Keeper, Store
from sockwarden.store import keeper as module

Make = Callable[..., dict[str, Any]]
GIB = 1 << 30


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "state", max_age_days=30, max_bytes=GIB)
    yield keeper
    keeper.close()


def test_written_together_after_half_a_second_at_most(
    keeper: Keeper, tmp_path: Path, access: Make, alert: Make
) -> None:
    keeper.flush(0.0)
    with Store(tmp_path / "state", create=False) as store:
        now = time.time()
        keeper.keep(access(1, time=now), [alert(1)])
        keeper.keep_alerts([alert(2)])
        keeper.flush(0.4)
        assert (store.count_accesses(), store.count(), keeper.waiting) == (0, 0, 3)
        keeper.flush(0.6)
        assert (store.count_accesses(), store.count(), keeper.waiting) == (1, 2, 0)
        for number in range(2, 2 + module.BATCH):
            keeper.keep(access(number, time=now))
        keeper.flush(0.7)
        assert store.count_accesses() == 1 + module.BATCH
    assert keeper.saved == 3 + module.BATCH
    assert keeper.notes() == []


def test_known_now_and_after_a_restart(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    now = time.time()
    assert not keeper.known(access(1)["_id"])
    keeper.keep(access(1, time=now))
    assert keeper.known(access(1)["_id"])
    keeper.close()
    again = Keeper(tmp_path / "state", max_age_days=30, max_bytes=GIB)
    assert again.known(access(1)["_id"])
    assert not again.known(access(2)["_id"])
    again.close()


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_rotated_away(keeper: Keeper, tmp_path: Path, access: Make, how: str) -> None:
    path = tmp_path / "state" / "sockwarden.db"
    now = time.time()
    keeper.keep(access(1, time=now))
    keeper.flush(0.0)
    if how == "deleted":
        path.unlink()
    else:
        (tmp_path / "old").mkdir()
        path.rename(tmp_path / "old" / "sockwarden.db")
        if how == "replaced":
            path.touch()
    keeper.keep(access(2, time=now))
    keeper.flush(1.0)
    assert [note.count("moved or deleted") for note in keeper.notes()] == [1]
    keeper.keep(access(3, time=now))
    keeper.close()
    with Store(tmp_path / "state", create=False) as store:
        assert {one["process"]["pid"] for one in store.newest_accesses(9)} == {2, 3}
    if how != "deleted":
        with Store(tmp_path / "old", create=False) as store:
            assert [one["process"]["pid"] for one in store.newest_accesses(9)] == [1]


def test_the_folder_is_gone(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    keeper.flush(0.0)
    for file in (tmp_path / "state").iterdir():
        file.unlink()
    (tmp_path / "state").rmdir()
    keeper.keep(access(1, time=time.time()))
    keeper.flush(1.0)
    with Store(tmp_path / "state", create=False) as store:
        assert store.count_accesses() == 1
    keeper.close()


def test_a_damaged_store_and_the_way_back(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    path = tmp_path / "state" / "sockwarden.db"
    path.parent.mkdir()
    path.write_bytes(b"no database, and long enough to look like one. " * 200)
    now = time.time()
    keeper.keep(access(1, time=now))
    for tick in (0.0, 1.0, 11.0, 12.0, 22.0):
        keeper.flush(tick)
    (note,) = keeper.notes()
    assert "damaged" in note and "Move the file" in note and "held in memory" in note
    path.unlink()
    keeper.flush(23.0)
    assert keeper.waiting == 1, "tried again before its time"
    keeper.flush(33.0)
    assert keeper.waiting == 0
    assert ["written again" in note for note in keeper.notes()] == [True]
    keeper.close()
    with Store(tmp_path / "state", create=False) as store:
        assert store.count_accesses() == 1


def test_locked_by_another(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    keeper.flush(0.0)
    with closing(sqlite3.connect(tmp_path / "state" / "sockwarden.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        keeper.keep(access(1, time=time.time()))
        keeper.flush(1.0)
        (note,) = keeper.notes()
        assert "locked" in note
        other.execute("COMMIT")
    keeper.flush(12.0)
    assert (keeper.waiting, keeper.dropped) == (0, 0)
    keeper.close()


def test_memory_is_bounded_and_what_found_no_room_is_counted(
    keeper: Keeper, tmp_path: Path, access: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    now = time.time()
    for number in range(25):
        keeper.keep(access(number, time=now))
        keeper.flush(0.0)
    assert (keeper.waiting, keeper.dropped) == (10, 15)
    assert len(keeper.notes()) == 1
    (tmp_path / "state").unlink()
    keeper.flush(20.0)
    assert (keeper.waiting, keeper.saved) == (0, 10)
    (note,) = keeper.notes()
    assert "15 accesses and alerts found no room" in note
    keeper.close()


def test_bytes_are_bounded(keeper: Keeper, access: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    for number in range(20):
        keeper.keep(access(number, padding=4096))
    assert 0 < keeper.waiting < 4
    assert keeper.waiting + keeper.dropped == 20


def test_what_cannot_be_written_at_the_end_is_told(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    keeper.keep(access(1))
    keeper.close()
    assert keeper.dropped == 1
    assert "are lost" in keeper.notes()[-1]


def test_it_prunes_now_and_then(keeper: Keeper, tmp_path: Path, access: Make) -> None:
    now = time.time()
    for number in range(3000):
        keeper.keep(access(number, time=1000.0 + number))
    keeper.keep(access(3000, time=now))
    keeper.flush(0.0)
    keeper.flush(1.0)
    assert keeper.removed.accesses == 3000
    keeper.keep(access(3001, time=1000.0))
    keeper.flush(2.0)
    assert keeper.removed.accesses == 3000, "not at every commit"
    keeper.flush(2.0 + module.PRUNE_SECONDS)
    assert keeper.removed.accesses == 3001
    keeper.close()


@pytest.mark.parametrize("alerts_each", [0, 1, 3])
def test_a_fast_run_stays_within_the_limit(tmp_path: Path, access: Make, alert: Make, alerts_each: int) -> None:
    limit = 4 << 20
    keeper = Keeper(tmp_path, max_age_days=30, max_bytes=limit)
    now = time.time()
    largest = 0
    for number in range(12_000):
        alerts = [alert(alerts_each * number + each) for each in range(alerts_each)]
        keeper.keep(access(number, time=now, padding=256), alerts)
        keeper.flush(0.0)
        largest = max(largest, (tmp_path / "sockwarden.db").stat().st_size)
    keeper.close()
    assert limit / 2 < largest <= limit
    assert (keeper.dropped, keeper.notes()) == (0, [])
    with Store(tmp_path, create=False) as store:
        assert store.count_accesses() + store.count() == keeper.saved - keeper.removed.accesses - keeper.removed.alerts
        assert store.has_access([access(11_999)["_id"]])
