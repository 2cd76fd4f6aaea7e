"""A full and a read-only file system, real ones: the store and the file sink go on, say so once, and come back."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.store import Keeper, Store

pytestmark = pytest.mark.host

ROUNDS = 10_000


@pytest.fixture
def disk(require: Callable[..., str], tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    require("mount", root=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "sockwarden-test", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the space there is."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            for _ in range(ROUNDS):
                file.write(os.urandom(4096))
        except OSError:
            return path
    raise AssertionError("the disk did not become full")


def access(number: int) -> dict[str, Any]:
    noise = "".join(hashlib.sha256(b"%d %d" % (number, part)).hexdigest() for part in range(64))
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"_id": hashlib.sha256(b"%d" % number).hexdigest(), "@timestamp": moment, "message": noise}


def alert(number: int) -> dict[str, Any]:
    rule = {"rule_id": "r", "name": "R"}
    signal = {"uuid": f"{number:064x}", "severity": "low", "risk_score": 1, "rule": rule}
    return {**access(number), "kibana": {"alert": signal}}


def test_the_store_on_a_full_disk(disk: Path) -> None:
    keeper = Keeper(disk / "state", max_age_days=30, max_bytes=1 << 30)
    keeper.flush(0.0)
    filler = fill(disk)
    now = 0.0
    number = 0
    while not (notes := keeper.notes()):
        now += 1
        for _ in range(100):
            number += 1
            keeper.keep(access(number))
        keeper.flush(now)
        assert number < ROUNDS
    (note,) = notes
    assert "the disk is full" in note and "Free space" in note
    for later in range(1, 30):
        keeper.keep(access(number + later))
        keeper.flush(now + later)
    assert keeper.notes() == [], "told again"
    filler.unlink()
    keeper.flush(now + 60)
    assert ["written again" in note for note in keeper.notes()] == [True]
    assert (keeper.waiting, keeper.dropped) == (0, 0)
    keeper.close()
    with Store(disk / "state", create=False) as store:
        assert store.count_accesses() == number + 29


def test_the_store_within_its_limit_on_a_disk_that_is_hardly_larger(disk: Path) -> None:
    keeper = Keeper(disk / "state", max_age_days=30, max_bytes=2 << 20)
    for number in range(6000):
        keeper.keep(access(number), [alert(number)] if number % 100 == 0 else [])
        if number % 100 == 0:
            keeper.flush(float(number * 10))
    keeper.close()
    assert (keeper.dropped, keeper.notes()) == (0, [])
    assert (disk / "state" / "sockwarden.db").stat().st_size < 3 << 20


def test_a_read_only_store(disk: Path) -> None:
    with Store(disk / "state", create=True) as store:
        store.add_accesses([access(1)])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    keeper = Keeper(disk / "state", max_age_days=30, max_bytes=1 << 30)
    keeper.keep(access(2))
    keeper.flush(0.0)
    (note,) = keeper.notes()
    assert "may not be written" in note and "writable" in note
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    keeper.flush(20.0)
    assert keeper.waiting == 0
    keeper.close()
    with Store(disk / "state", create=False) as store:
        assert store.count_accesses() == 2


def test_the_file_sink_on_a_full_disk(disk: Path) -> None:
    path = disk / "alerts.ndjson"
    sink = NdjsonFileSink(path)
    filler = fill(disk)
    now = time.monotonic()
    added = 0
    while not sink.lost:
        added += 1
        sink.add([alert(added)])
        assert added < ROUNDS
    (note,) = sink.notes()
    assert "No space left" in note and "Free space" in note
    filler.unlink()
    sink.tick(now + 30)
    sink.add([alert(added + 1)])
    sink.close()
    uuids = []
    for line in path.read_bytes().split(b"\n"):
        try:
            uuids.append(int(json.loads(line)["kibana"]["alert"]["uuid"], 16))
        except ValueError:  # the end, and what was cut off
            continue
    assert uuids == [*range(1, added), added + 1]


def test_the_file_sink_on_a_read_only_disk(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    sink = NdjsonFileSink(disk / "alerts.ndjson")
    now = time.monotonic()
    sink.add([alert(1)])
    (note,) = sink.notes()
    assert "Read-only file system" in note
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    sink.tick(now + 30)
    sink.add([alert(2)])
    sink.close()
    assert sink.lost == 1
    assert b"%064x" % 2 in (disk / "alerts.ndjson").read_bytes()
