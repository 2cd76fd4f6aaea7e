"""The store as a source: a window of accesses, the oldest first, read while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sockwarden.errors import InputError
from sockwarden.rules import Rule, load_packaged, select
from sockwarden.store import Store

Make = Callable[..., dict[str, Any]]
S = 1_795_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, create=True) as store:
        yield store


def rule(**changed: Any) -> Rule:
    """A rule that matches every document."""
    (base,) = select(load_packaged(), "audit-records-lost")
    return msgspec.structs.replace(base, matches=lambda document: "skip" not in document, **changed)


def iso(time: int) -> str:
    return datetime.fromtimestamp(time // 1000, UTC).replace(microsecond=time % 1000 * 1000).isoformat()


def times(store: Store, start: int, end: int, **changed: Any) -> list[int]:
    return [document["process"]["pid"] for document in store.source.search(rule(**changed), start, end)]


def test_a_window_with_both_ends(store: Store, access: Make) -> None:
    store.add_accesses({**access(number), "@timestamp": iso(S + number)} for number in range(10))
    assert times(store, S + 3, S + 6) == [3, 4, 5, 6]
    assert times(store, S + 3, S + 3) == [3]
    assert times(store, -(1 << 60), 1 << 60) == list(range(10))
    assert times(store, S - 5, S - 1) == times(store, S + 10, S + 99) == times(store, S + 6, S + 3) == []


def test_ties_by_id_and_pages(store: Store, access: Make) -> None:
    documents = [{**access(number), "@timestamp": iso(S + number // 700)} for number in range(1500)]
    store.add_accesses(documents)
    found = list(store.source.search(rule(), S, S + 9))
    assert found == sorted(documents, key=lambda one: (one["@timestamp"], one["_id"]))


def test_what_does_not_match_or_has_no_time_is_left_out(store: Store, access: Make) -> None:
    store.add_accesses(
        [
            {**access(1), "@timestamp": iso(S)},
            {**access(2), "skip": 1, "@timestamp": iso(S)},
            {**access(3), "@timestamp": "?"},
        ]
    )
    assert times(store, 0, 1 << 42) == [1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(0, 40), st.none() | st.integers(0, 40)), max_size=30),
    start=st.integers(-1, 41),
    length=st.integers(0, 20),
    fallback=st.booleans(),
)
def test_timestamp_override(
    tmp_path_factory: pytest.TempPathFactory,
    access: Make,
    rows: list[tuple[int, int | None]],
    start: int,
    length: int,
    fallback: bool,
) -> None:
    end = start + length
    expected = []
    with Store(tmp_path_factory.mktemp("store"), create=True) as store:
        for number, (time, ingested) in enumerate(rows):
            document = {**access(number), "@timestamp": iso(S + time)}
            if ingested is not None:
                document["event"] = {"ingested": iso(S + ingested)}
            store.add_accesses([document])
            counts = ingested if ingested is not None else time if fallback else None
            if counts is not None and start <= counts <= end:
                expected.append((counts, document["_id"], number))
        choice = {"timestamp_override": "event.ingested", "timestamp_override_fallback_disabled": not fallback}
        assert times(store, S + start, S + end, **choice) == [number for _, _, number in sorted(expected)]
        for _ in zip(range(2), store.source.search(rule(**choice), S, S + 40), strict=False):
            pass  # a search that is given up
        assert times(store, S + start, S + end, **choice) == [number for _, _, number in sorted(expected)]


def test_others_write_and_remove_meanwhile(store: Store, access: Make) -> None:
    store.add_accesses({**access(number), "@timestamp": iso(S + number)} for number in range(1200))
    seen = 0
    last: dict[str, Any] = {}
    with Store(store.path.parent, create=False, wait=0) as other:
        for document in store.source.search(rule(), S, S + 5000):
            if seen == 10:
                other.add_accesses([{**access(5000), "@timestamp": iso(S + 4000)}])
            if seen == 600:
                other.prune(1, 1 << 30, (S + 1100) / 1000 + 86_400)
            seen += 1
            last = document
    assert 1000 <= seen <= 1201
    assert last["process"]["pid"] == 5000


def test_damage_is_one_error(store: Store, access: Make) -> None:
    store.add_accesses([{**access(1), "@timestamp": iso(S)}])
    with closing(sqlite3.connect(store.path)) as database:
        database.execute("UPDATE accesses SET document = x'00'")
        database.commit()
    with pytest.raises(InputError, match="cannot be used"):
        list(store.source.search(rule(), S, S))
