"""Alerts are given back exactly as they were, with the rule that is stored once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.alerts import SEVERITIES, Detector, RuleExecution, build
from sockwarden.detect import RuleDetection, SignatureDetection
from sockwarden.document import encode
from sockwarden.errors import InputError
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.store import Kind, Store
from sockwarden.store.rows import alert_row, unpack

Make = Callable[..., dict[str, Any]]
DETECTORS = [
    *(RuleDetection(rule).detector for rule in load_packaged()),
    *(SignatureDetection(kind()).detector for kind in SIGNATURES),
]
DAY = 86_400.0
TIME = "2026-11-21T20:14:03.000Z"


def document(number: int) -> dict[str, Any]:
    return {
        "_id": str(number),
        "@timestamp": TIME,
        "event": {"kind": "event", "action": "connected-to", "outcome": "success"},
        "process": {"pid": number, "title": "tüte \x1b \U0001f40b"},
    }


def alert_of(number: int, detector: Detector) -> dict[str, Any]:
    """As JSON has it: a rule's tuples are lists."""
    alert = build(document(number), detector, view="both", finding={"Data": None, "Event": document(number)})
    shown: dict[str, Any] = msgspec.json.decode(encode(alert))
    return shown


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_each_detectors_alert_comes_back_as_it_was(tmp_path: Path, detector: Detector) -> None:
    alerts = [alert_of(number, detector) for number in range(3)]
    with Store(tmp_path, create=True) as store:
        store.add(alerts)
        path = store.path
    with Store(tmp_path, create=False) as store:
        for alert in alerts:
            found = store.find(alert["kibana"]["alert"]["uuid"])
            assert found == alert
            # the order of the fields too, which a person reads
            assert msgspec.json.encode(found) == msgspec.json.encode(alert)
        kind: Kind = "building_block" if detector.building_block else "alert"
        for rule in (detector.rule_id, detector.name):
            assert len(list(store.newest(9, rule=rule, kind=kind))) == 3
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM rules").fetchone() == (1,)


def test_a_rule_that_changed_is_kept_both_ways(tmp_path: Path) -> None:
    before, after = (Detector("r", "R", "low", 21, version, [], {"note": version * 999}) for version in ("1", "2"))
    alerts = [alert_of(1, before), alert_of(2, after)]
    with Store(tmp_path, create=True) as store:
        store.add(alerts)
        assert sorted(store.newest(9), key=lambda alert: alert["process"]["pid"]) == alerts


@pytest.mark.parametrize(
    "kibana",
    [
        None,
        "text",
        [],
        {},
        {"alert": None},
        {"alert": [1]},
        {"alert": {"rule": None}},
        {"alert": {"rule": "text"}},
        {"alert": {"rule": [{"name": "x"}]}},
        {"alert": {"rule": {}}},
        {"alert": {"rule": {"rule_id": 7, "name": None, "parameters": {"a": [None, 1.5, {}]}}, "after": 1}},
        {"alert": {"severity": 3, "risk_score": "much", "rule": {"name": ["x"]}}},
    ],
)
def test_odd_content_comes_back_too(tmp_path: Path, kibana: Any) -> None:
    alert = {"@timestamp": 5, "kibana": kibana, "zz": None}
    with Store(tmp_path, create=True) as store:
        assert store.add([alert]) == [True]
        assert store.add([alert]) == [False]
    row = alert_row(alert)
    assert unpack(row.document, row.rule.document if row.rule else None) == alert


_rules = st.dictionaries(st.text("abc._", max_size=5), st.none() | st.integers(-9, 9) | st.text(max_size=9), max_size=5)


@given(rule=st.none() | st.text(max_size=4) | _rules, before=_rules, after=_rules)
def test_what_goes_in_comes_out(rule: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    alert = {**before, "kibana": {**before, "alert": {**before, "rule": rule, **after}}, **after}
    row = alert_row(alert)
    assert list(unpack(row.document, row.rule.document if row.rule else None).items()) == list(alert.items())


def test_a_rule_in_no_utf8(tmp_path: Path) -> None:
    detector = Detector("r\udcff", "n\udcff", "low", 1, "1", [], {"note": "\udcff"})
    alert = build(document(1), detector, view=None)
    with Store(tmp_path, create=True) as store:
        store.add([alert])
        assert store.find(alert["kibana"]["alert"]["uuid"])["kibana"]["alert"]["rule"]["parameters"] == {"note": "?"}
        assert store.count(rule="n?") == 1


def test_an_alert_takes_some_hundred_bytes(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.add([alert_of(number, DETECTORS[0]) for number in range(2000)])
        path = store.path
    assert path.stat().st_size < 2000 * 800


def store_of_1(folder: Path, rows: list[tuple[str, bytes]]) -> None:
    """As `hunt --store` of 0.1.0 wrote it."""
    with closing(sqlite3.connect(folder / "sockwarden.db")) as database:
        database.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE alerts (
                uuid TEXT PRIMARY KEY, time TEXT NOT NULL, rule_id TEXT NOT NULL, rule_name TEXT NOT NULL,
                severity TEXT NOT NULL, risk_score INTEGER NOT NULL, document BLOB NOT NULL
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX alerts_by_time ON alerts (time);
            PRAGMA user_version = 1;
            """
        )
        for uuid, content in rows:
            row = (uuid, TIME, "r1", "A Rule", "medium", 47, content)
            database.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        database.commit()


def test_a_store_of_schema_1(tmp_path: Path, access: Make) -> None:
    alerts = [alert_of(number, detector) for number in range(50) for detector in DETECTORS]
    store_of_1(tmp_path, [(one["kibana"]["alert"]["uuid"], msgspec.json.encode(one)) for one in alerts])
    before = (tmp_path / "sockwarden.db").stat().st_size
    with Store(tmp_path, create=False) as store:
        assert store.count() + store.count(kind="building_block") == len(alerts)
        for alert in alerts:
            assert store.find(alert["kibana"]["alert"]["uuid"]) == alert
        assert store.count(rule=DETECTORS[0].name) == 50
        assert store.add(alerts) == [False] * len(alerts)
        assert store.count_accesses() == 0
        assert store.add_accesses([access(1)]) == [True]
    assert (tmp_path / "sockwarden.db").stat().st_size < before / 4
    with Store(tmp_path, create=False) as store:
        # Kept counts from now: an alert of an old log does not go at once.
        now = time.time()
        assert store.prune(1, 1 << 30, now).alerts == 0
        assert store.prune(1, 1 << 30, now + 2 * DAY).alerts == len(alerts)
        assert store.count() == 0


def test_a_damaged_alert_of_schema_1_is_in_nobodys_way(tmp_path: Path) -> None:
    alert = alert_of(1, DETECTORS[0])
    uuid = alert["kibana"]["alert"]["uuid"]
    store_of_1(tmp_path, [("aa11" if uuid[0] != "a" else "bb11", b"{cut off"), (uuid, msgspec.json.encode(alert))])
    with Store(tmp_path, create=False) as store:
        assert store.find(uuid) == alert
        with pytest.raises(InputError, match="cannot be used"):
            list(store.newest(9))


def test_runs_and_overridden_names_share_their_rules_row(tmp_path: Path) -> None:
    detector = msgspec.structs.replace(DETECTORS[0], rule_name_override="process.title")
    alerts = []
    for number in range(5):
        source = document(number) | {"process": {"title": f"name {number}"}}
        run = RuleExecution(str(number), TIME)
        alerts.append(msgspec.json.decode(encode(build(source, detector, view=None, execution=run))))
    with Store(tmp_path, create=True) as store:
        assert all(store.add(alerts))
        found = {alert["kibana"]["alert"]["uuid"]: alert for alert in store.newest(10, rule=detector.name)}
    assert found == {alert["kibana"]["alert"]["uuid"]: alert for alert in alerts}
    with closing(sqlite3.connect(tmp_path / "sockwarden.db")) as database:
        assert database.execute("SELECT name FROM rules").fetchall() == [(detector.name,)]


def test_building_blocks_are_listed_apart(tmp_path: Path) -> None:
    block = msgspec.structs.replace(DETECTORS[0], building_block=True)
    with Store(tmp_path, create=True) as store:
        store.add([build(document(1), block, view=None), build(document(2), DETECTORS[0], view=None)])
        assert store.count() == store.count(kind="building_block") == 1


def test_the_newest_of_any_choice_come_in_order(tmp_path: Path) -> None:
    """Whatever severities and statuses they are of."""
    times = [f"2026-11-21T20:{minute:02}:00.000Z" for minute in (5, 3, 9, 3, 7, 1, 8, 2)]
    with Store(tmp_path, create=True) as store:
        for number, moment in enumerate(times):
            alert = alert_of(number, DETECTORS[number % len(DETECTORS)])
            alert["kibana"]["alert"] |= {"severity": SEVERITIES[number % 4], "original_time": moment}
            store.add([{**alert, "@timestamp": moment}])
        everything = list(store.newest(99))
        uuids = [alert["kibana"]["alert"]["uuid"] for alert in everything]
        store.answer(uuids[2:5], "closed", user="", at=TIME)
        closed = list(store.newest(2, statuses=["closed"]))
        some = list(store.newest(99, severities=["low", "critical", "low"], statuses=["open"]))
        assert store.count(severities=["low", "critical"], statuses=["open"]) == len(some)
        assert store.count() == len(everything) == len(times)
    found = [alert["@timestamp"] for alert in everything]
    assert found == sorted(times, reverse=True)
    assert [alert["kibana"]["alert"]["uuid"] for alert in closed] == uuids[2:4]
    wanted = [one for one in everything if one["kibana"]["alert"]["severity"] in ("low", "critical")]
    left = [one["kibana"]["alert"]["uuid"] for one in wanted]
    assert [one["kibana"]["alert"]["uuid"] for one in some] == [one for one in left if one not in uuids[2:5]]
