"""An alert tells what it took in since it was kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sockwarden.alerts import Detector, Grouping, GroupState, build, group_of, grouped
from sockwarden.document import get
from sockwarden.store import Keeper, Store

RULE = Detector("r", "A Rule", "medium", 47, "1", [], {}, suppression=Grouping(("user.name",)))


def alert_of(number: int) -> dict[str, Any]:
    source = {"_id": str(number), "@timestamp": "2026-11-21T00:00:00.000Z", "user": {"name": "a"}}
    belonging = group_of(source, "r", Grouping(("user.name",)))
    assert belonging
    return grouped(build(source, RULE, view=None), belonging, GroupState("", 0, 0, 0))


def sizes(folder: Path) -> Iterator[int]:
    with closing(sqlite3.connect(folder / "sockwarden.db")) as database:
        yield from database.execute("SELECT alerts FROM sizes").fetchone()
        yield from database.execute("SELECT sum(length(document)) FROM alerts").fetchone()


@pytest.mark.parametrize("through_keeper", [False, True])
def test_counts_grow(tmp_path: Path, through_keeper: bool) -> None:
    alerts = [alert_of(number) for number in range(3)]
    uuids = [get(alert, "kibana.alert.uuid") for alert in alerts]
    grown = {uuid: GroupState(uuid, 0, 0, 60_000 * count, count) for count, uuid in enumerate(uuids[:2], 5)}
    grown["gone"] = GroupState("gone", 0, 0, 0, 9)
    if through_keeper:
        keeper = Keeper(tmp_path, max_age_days=30, max_bytes=1 << 30)
        keeper.keep_alerts(alerts)
        keeper.grow(grown)
        keeper.close()
        assert not keeper.notes() and keeper.saved == 3
    else:
        with Store(tmp_path, create=True) as store:
            store.add(alerts)
            store.grow(grown)
    with Store(tmp_path, create=False) as store:
        told = [get(store.find(uuid), "kibana.alert.suppression") for uuid in uuids]
    assert [one["docs_count"] for one in told] == [5, 6, 0]
    assert told[0]["end"] == "1970-01-01T00:05:00.000Z" and told[0]["terms"] == [{"field": "user.name", "value": "a"}]
    counted, real = sizes(tmp_path)
    assert counted == real


def test_what_is_closed_or_gone_is_to_take_nothing_in(tmp_path: Path) -> None:
    alerts = [alert_of(number) for number in range(3)]
    uuids = [get(alert, "kibana.alert.uuid") for alert in alerts]
    keeper = Keeper(tmp_path, max_age_days=30, max_bytes=1 << 30)
    keeper.keep_alerts(alerts)
    keeper.flush(0.0)
    with Store(tmp_path, create=False) as store:
        store.answer([uuids[0]], "closed", user="a", at="2026-11-21T00:00:00.000Z")
        store.answer([uuids[1]], "acknowledged", user="a", at="2026-11-21T00:00:00.000Z")
    keeper.grow({uuid: GroupState(uuid, 0, 0, 0, 1) for uuid in (*uuids, "gone")})
    assert not keeper.ended()
    keeper.flush(1.0)
    assert keeper.ended() == {uuids[0], "gone"}
    assert not keeper.ended()
    keeper.close()
