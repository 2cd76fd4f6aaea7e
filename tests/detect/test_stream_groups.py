"""Suppression as documents come: groups are open for a stretch of their time, and no more than so many."""

from __future__ import annotations

from typing import Any

import msgspec

from sockwarden.alerts import iso
from sockwarden.detect import Engine, RuleDetection, StreamGroups
from sockwarden.document import get
from sockwarden.kql import MATCH_ALL
from sockwarden.rules import load_packaged, select
from sockwarden.rules.rule import Suppression

MINUTE = 60_000


def detection(suppression: Suppression | None = None) -> RuleDetection:
    (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    return RuleDetection(
        msgspec.structs.replace(rule, suppression=suppression, tree=MATCH_ALL, matches=lambda _: True, interval="5m")
    )


def document(number: int, moment: int, user: str = "a") -> dict[str, Any]:
    return {"_id": str(number), "@timestamp": iso(moment), "user": {"name": user}}


def test_an_interval_is_a_run() -> None:
    engine = Engine([detection(Suppression(("user.name",)))])
    given = [list(engine.judge(document(number, number * MINUTE))) for number in range(12)]
    assert [len(alerts) for alerts in given] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert sum(engine.groups.suppressed.values()) == 9
    grown = engine.groups.grown()
    assert {uuid: state.count for uuid, state in grown.items()} == {
        get(alert, "kibana.alert.uuid"): count
        for alerts, count in zip(given[::5], (4, 4, 1), strict=True)
        for alert in alerts
    }
    assert not engine.groups.grown()


def test_a_copy_is_not_taken_in() -> None:
    engine = Engine([detection(Suppression(("user.name",), duration_ms=MINUTE))])
    for _ in range(2):
        for number in range(3):
            list(engine.judge(document(number, number)))
    assert engine.repeated == 3 and [state.count for state in engine.groups.grown().values()] == [2]


def test_there_are_no_more_groups_than_so_many() -> None:
    engine = Engine([detection(Suppression(("user.name",)))])
    engine.groups = StreamGroups(most=2)
    given = [len(list(engine.judge(document(number, 0, user)))) for number, user in enumerate("abacabb")]
    assert given == [1, 1, 0, 1, 0, 1, 0]
    assert engine.groups.evicted == 2


def test_what_is_over_is_not_closed_before_its_time() -> None:
    engine = Engine([detection(Suppression(("user.name",), duration_ms=MINUTE))])
    engine.groups = StreamGroups(most=2)
    for number in range(9):
        list(engine.judge(document(number, number * MINUTE, str(number))))
    assert engine.groups.evicted == 0


def test_an_alert_that_was_closed_takes_nothing_in() -> None:
    engine = Engine([detection(Suppression(("user.name",)))])
    (alert,) = engine.judge(document(1, 0))
    assert not list(engine.judge(document(2, 1)))
    engine.groups.end({"another"})
    assert not list(engine.judge(document(3, 2)))
    engine.groups.end({get(alert, "kibana.alert.uuid")})
    assert len(list(engine.judge(document(4, 3)))) == 1
    assert not list(engine.judge(document(5, 4)))


def test_other_rules_end_no_window() -> None:
    before = Engine([detection(Suppression(("user.name",)))])
    assert len(list(before.judge(document(1, 0)))) == 1
    after = Engine([detection(Suppression(("user.name",)))], groups=before.groups)
    assert not list(after.judge(document(2, MINUTE)))
    assert [state.count for state in after.groups.grown().values()] == [1]


def test_a_copy_is_told_again_when_it_is_no_longer_remembered() -> None:
    engine = Engine([detection()], most_remembered=4)
    given = [number for number in (1, 2, 1, 2, 3, 1, 4, 1, 5, 6, 1) if list(engine.judge(document(number, 0)))]
    assert given == [1, 2, 3, 4, 1, 5, 6] and engine.repeated == 4
