"""Identity and content of an alert."""

from __future__ import annotations

import hashlib
from typing import Any

from sockwarden.alerts import Detector, RuleExecution, build, socket_of, uuid_of

DETECTOR = Detector("rule-1", "A Rule", "medium", 47, "1", [], {"query": "a:b"})


def document(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "_index": "sockwarden",
        "_id": "abc",
        "_version": 1,
        "@timestamp": "2026-11-21T20:14:03.000Z",
        "event": {"kind": "event", "action": "connected-to", "outcome": "success"},
        "process": {"name": "curl"},
        "user": {"id": "0"},
        "sockwarden": {"socket": {"canonical": "/run/docker.sock", "address_as_given": "/srv/x"}},
    }
    return base | changes


def test_uuid_is_kibanas() -> None:
    assert uuid_of(document(), "rule-1") == hashlib.sha256(b"sockwardenabc1default:rule-1").hexdigest()


def test_uuid_differs_by_document_and_rule() -> None:
    assert len({uuid_of(document(), "a"), uuid_of(document(), "b"), uuid_of(document(_id="x"), "a")}) == 3


def test_the_document_stays_as_it_was() -> None:
    source = document()
    alert = build(source, DETECTOR, view="canonical")
    assert source == document()
    assert alert["sockwarden"]["alert"] == {"view": "canonical"}
    assert not {"_id", "_index", "_version"} & set(alert)


def test_what_an_alert_carries() -> None:
    signal = build(document(), DETECTOR, view="both")["kibana"]["alert"]
    assert signal["rule"]["name"] == "A Rule" and signal["rule"]["rule_id"] == "rule-1"
    assert signal["rule"]["parameters"] == {"query": "a:b"}
    assert (signal["severity"], signal["risk_score"], signal["status"]) == ("medium", 47, "active")
    assert signal["original_time"] == "2026-11-21T20:14:03.000Z"
    assert signal["reason"] == "curl by user 0 connected to /run/docker.sock, given as /srv/x: medium alert A Rule"


def test_the_reason_says_what_is_unknown() -> None:
    empty = document(process={}, user={}, sockwarden={}, event={"action": "connected-to", "outcome": "failure"})
    reason = build(empty, DETECTOR, view=None)["kibana"]["alert"]["reason"]
    assert reason == "an unknown program failed to connect to an unknown address: medium alert A Rule"


def test_a_connection_that_is_in_other_hands() -> None:
    for action, told in [("held-connection", "holds a connection to"), ("received-descriptor", "was passed")]:
        moved = document(event={"action": action}, sockwarden={"socket": {"canonical": "/run/docker.sock"}})
        reason = build(moved, DETECTOR, view=None)["kibana"]["alert"]["reason"]
        assert reason.startswith(f"curl by user 0 {told}") and "/run/docker.sock: medium" in reason


def test_an_event_of_an_index_is_told_by_its_destination() -> None:
    for address, named in [("/run/docker.sock", "/run/docker.sock"), (["/run/a.sock", "/b"], "/run/a.sock, /b")]:
        indexed = document(sockwarden={}, destination={"address": address})
        assert socket_of(indexed) == named
        assert f"connected to {named}:" in build(indexed, DETECTOR, view=None)["kibana"]["alert"]["reason"]
    assert socket_of(document(sockwarden={}, destination={"address": [{"a": 1}]})) is None
    assert socket_of(document(sockwarden="x", destination="y")) is None
    many = {"address": [str(number) for number in range(100_000)]}
    assert socket_of(document(sockwarden={}, destination=many)) == "0, 1, 2"


def test_without_a_run_the_same_document_makes_the_same_alert() -> None:
    alert = build(document(), DETECTOR, view=None)
    assert alert == build(document(), DETECTOR, view=None)
    signal = alert["kibana"]["alert"]
    assert alert["@timestamp"] == signal["start"] == signal["last_detected"] == "2026-11-21T20:14:03.000Z"
    assert "execution" not in signal["rule"] and "intended_timestamp" not in signal


def test_a_runs_alert_is_of_the_runs_time() -> None:
    run = RuleExecution("u", "2026-11-22T00:00:00.000Z", "manual", "2026-11-21T21:00:00.000Z")
    alert = build(document(), DETECTOR, view=None, execution=run)
    signal = alert["kibana"]["alert"]
    assert alert["@timestamp"] == signal["start"] == signal["last_detected"] == run.timestamp
    assert signal["original_time"] == "2026-11-21T20:14:03.000Z" and signal["intended_timestamp"] == run.intended
    assert signal["rule"]["execution"] == {"uuid": "u", "timestamp": run.timestamp, "type": "manual"}


def test_the_event_as_it_was() -> None:
    event = {"kind": "event", "action": "connected-to", "original": "type=SYSCALL", "unheard-of": 1}
    alert = build(document(event=event), DETECTOR, view=None)
    assert alert["event"] == {**event, "kind": "signal"}
    assert alert["kibana"]["alert"]["original_event"] == {"kind": "event", "action": "connected-to"}


def test_an_alert_on_an_alert_on_an_alert() -> None:
    first = build(document(), DETECTOR, view="both")
    second = build({**first, "_id": "s", "_index": ".alerts", "_version": 1}, DETECTOR, view=None)
    third = build({**second, "_id": "t", "_index": ".alerts", "_version": 1}, DETECTOR, view=None)
    signal = third["kibana"]["alert"]
    assert signal["depth"] == 3
    assert [(one["id"], one["type"], one["depth"]) for one in signal["ancestors"]] == [
        ("abc", "event", 0),
        ("s", "signal", 1),
        ("t", "signal", 2),
    ]
    assert "alert" not in second["sockwarden"] and second["kibana"]["alert"]["original_event"]["kind"] == "signal"


def test_a_forged_ancestry_keeps_its_form() -> None:
    forged = {"uuid": "x", "depth": 1 << 80, "ancestors": [7, {"id": []}, {"id": "a", "depth": "9", "more": 1}] * 99}
    signal = build(document(kibana={"alert": forged}), DETECTOR, view=None)["kibana"]["alert"]
    assert signal["depth"] == 1001
    assert signal["ancestors"][0] == {"id": "a"} and len(signal["ancestors"]) == 100


def test_an_alert_without_a_time_invents_none() -> None:
    signal = build(document(**{"@timestamp": None}), DETECTOR, view=None)["kibana"]["alert"]
    assert not {"original_time", "start", "last_detected"} & set(signal)
