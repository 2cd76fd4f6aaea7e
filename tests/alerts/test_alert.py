"""Identity and content of an alert."""

from __future__ import annotations

import hashlib
from typing import Any

from sockwarden.alerts import Detector, build, uuid_of

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
    assert reason == "an unknown program tried and failed: connected to an unknown address: medium alert A Rule"
