"""The store keeps each alert once, finds it again, and says what is wrong."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sockwarden.errors import InputError, UsageError
from sockwarden.store import Store


def alert(uuid: str, *, time: str = "2026-11-21T20:14:03.000Z", severity: str = "medium") -> dict[str, Any]:
    rule = {"rule_id": "r1", "name": "A Rule"}
    return {
        "@timestamp": time,
        "process": {"executable": "/srv/\udcff".encode("utf-8", "backslashreplace").decode()},
        "kibana": {"alert": {"uuid": uuid, "severity": severity, "risk_score": 47, "rule": rule}},
    }


def test_each_alert_once(tmp_path: Path) -> None:
    with Store(tmp_path / "state", create=True) as store:
        assert store.add([alert("aa11"), alert("bb22")]) == [True, True]
        assert store.add([alert("aa11"), alert("cc33")]) == [False, True]
        assert store.count() == 3


def test_it_outlives_the_process(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add([alert("aa11")])
    with Store(tmp_path, create=False) as store:
        assert store.find("aa") == alert("aa11")


def test_newest_first_and_by_severity_and_rule(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add([alert("aa", time="2026-01-01T00:00:00.000Z"), alert("bb", time="2026-01-02T00:00:00.000Z")])
        store.add([alert("cc", time="2026-01-03T00:00:00.000Z", severity="high")])
        uuids = [one["kibana"]["alert"]["uuid"] for one in store.newest(2)]
        assert uuids == ["cc", "bb"]
        assert store.count(severities=("high", "critical")) == 1
        assert store.count(rule="a rule") == store.count(rule="r1") == 3
        assert store.count(rule="' OR 1=1 --") == 0


@pytest.mark.parametrize(
    ("prefix", "message"),
    [("", "no alert's id"), ("xyz", "no alert's id"), ("ff", "no alert has"), ("a", "more than one")],
)
def test_find_says_why_not(tmp_path: Path, prefix: str, message: str) -> None:
    with Store(tmp_path, create=True) as store:
        store.add([alert("aa11"), alert("ab22")])
        with pytest.raises(UsageError, match=message):
            store.find(prefix)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Store(tmp_path / "state", create=True) as store:
            store.add([alert("aa")])
            assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store yet"):
        Store(tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_a_damaged_store(tmp_path: Path) -> None:
    (tmp_path / "sockwarden.db").write_bytes(b"this is no database, and long enough to look like one" * 50)
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path, create=True)


def test_a_store_of_the_future(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        path = store.path
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="later sockwarden"):
        Store(tmp_path, create=True)


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sockwarden.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path, create=True)
    assert not (tmp_path / "elsewhere").exists()
