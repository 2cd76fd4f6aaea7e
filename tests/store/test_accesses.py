"""Accesses are kept whole, each once, and found again."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.errors import InputError, UsageError
from sockwarden.store import Store, rows
from sockwarden.store.rows import access_row, id_of, unpack


def access(
    number: int, *, time: float | None = 1_795_000_000.0, runtime: str = "docker", origin: str = "host"
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_index": "sockwarden",
        "_id": hashlib.sha256(b"%d" % number).hexdigest(),
        "_version": 1,
        "process": {"pid": number, "executable": "/usr/bin/curl"},
        "sockwarden": {
            "socket": {"runtime": runtime, "canonical": f"/run/{runtime}.sock"},
            "actor": {"origin": origin},
            "sensor": {"name": "audit"},
        },
    }
    if time is not None:
        moment = datetime.fromtimestamp(time, UTC)
        document["@timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return document


def test_each_access_once_and_whole(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        assert store.add_accesses([access(1), access(2), access(1)]) == [True, True, False]
        assert store.add_accesses([access(2), access(3)]) == [False, True]
        assert store.count_accesses() == 3
    with Store(tmp_path, create=False) as store:
        assert store.find_access(access(2)["_id"]) == access(2)
        known = store.has_access([access(3)["_id"], access(4)["_id"], "no digest at all", ""])
        assert known == {access(3)["_id"]}


def test_newest_first_also_when_they_come_late(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(2, time=2_000.0), access(3, time=3_000.0)])
        store.add_accesses([access(1, time=1_000.0), access(4, time=2_000.0)])
        assert [one["process"]["pid"] for one in store.newest_accesses(9)] == [3, 4, 2, 1]
        assert [one["process"]["pid"] for one in store.newest_accesses(1)] == [3]


def test_found_by_runtime_origin_and_socket(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(1), access(2, runtime="crio"), access(3, origin="container")])
        assert store.count_accesses(runtime="crio") == 1
        assert [one["process"]["pid"] for one in store.newest_accesses(9, origin="container")] == [3]
        assert store.count_accesses(socket="/run/docker.sock", origin="host") == 1
        assert store.count_accesses(runtime="' OR 1=1 --") == 0


@pytest.mark.parametrize("time", [None, -5_000_000_000.0, 250_000_000_000.0])
def test_a_time_that_is_none_or_absurd(tmp_path: Path, time: float | None) -> None:
    with Store(tmp_path, create=True) as store:
        assert store.add_accesses([access(1, time=time), access(2), access(3, time=time)]) == [True, True, True]
        assert store.add_accesses([access(1, time=time)]) == [False]
        assert store.find_access(access(1)["_id"]) == access(1, time=time)


@pytest.mark.parametrize("prefix", [access(1)["_id"][:1], access(1)["_id"][:7].upper(), access(1)["_id"]])
def test_found_by_the_first_digits(tmp_path: Path, prefix: str) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(1)])
        assert store.find_access(prefix) == access(1)


@pytest.mark.parametrize(("prefix", "message"), [("", "no access's id"), ("x", "no access's id"), ("00", "no access")])
def test_find_says_why_not(tmp_path: Path, prefix: str, message: str) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(1)])
        with pytest.raises(UsageError, match=message):
            store.find_access(prefix)


def test_what_json_cannot_hold_is_kept_all_the_same() -> None:
    document = {**access(1), "message": "a\udcffb", "large": 1 << 70, "bytes": b"x"}
    kept = unpack(access_row(document).document)
    assert kept["message"] == "a?b"
    assert kept["process"] == document["process"]


def test_a_name_that_is_not_utf8_is_kept_too(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        assert store.add_accesses([access(1, runtime="a\udcffb")]) == [True]
        assert store.count_accesses(runtime="a?b") == 1


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc._", max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(document=st.dictionaries(st.text("abc", max_size=4), _values, max_size=5))
def test_what_goes_in_comes_out(document: dict[str, Any]) -> None:
    assert unpack(access_row(document).document) == document


@given(identity=st.text())
def test_any_id_has_a_key(identity: str) -> None:
    assert len(id_of(identity)) == 16


def test_the_dictionary_is_that_of_every_store_in_use() -> None:
    digest = hashlib.sha256(rows._DICTIONARY).hexdigest()
    assert digest == "9d1d81eed7328462c50ee3ee586a1374011ee3e92f6c43df3ac3206084f1101f", (
        "rows that were written before could not be read any more"
    )


def test_a_damaged_document_is_an_error_with_a_way_on(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add_accesses([access(1)])
        path = store.path
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE accesses SET document = x'00'")
    with Store(tmp_path, create=False) as store, pytest.raises(InputError, match="cannot be used"):
        list(store.newest_accesses(1))
