"""Alerts as lines of JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest

from sockwarden.alerts import Detector, RuleExecution, build
from sockwarden.document import encode
from sockwarden.sinks import FORMS, LineSink

THREAT = [
    {
        "framework": "MITRE ATT&CK",
        "tactic": {"id": "TA0004", "name": "Privilege Escalation"},
        "technique": [{"id": "T1611", "name": "Escape to Host"}],
    }
]
DETECTOR = Detector("r1", "A Rule", "medium", 47, "1", THREAT, {})
DOCUMENT: dict[str, Any] = {
    "_id": "1",
    "_index": "sockwarden",
    "@timestamp": "2026-11-21T20:14:03.000Z",
    "event": {"kind": "event", "action": "connected-to", "sequence": 7},
    "sockwarden": {"socket": {"canonical": "/run/docker.sock"}},
}
FINDING: dict[str, Any] = {"Data": None, "Event": {"Payload": {}}, "SigMetadata": {"ID": "TRC-1019"}}


def written(form: str, *alerts: dict[str, Any]) -> tuple[LineSink, list[dict[str, Any]]]:
    file = io.BytesIO()
    sink = LineSink(form, file)
    for alert in alerts:
        sink.add(alert)
    sink.close()
    return sink, [json.loads(line) for line in file.getvalue().splitlines()]


def test_ndjson_is_the_document_and_kibanas_fields() -> None:
    alert = build(DOCUMENT, DETECTOR, view="both", finding=FINDING)
    _, (line,) = written("ndjson", alert)
    assert line["event"]["sequence"] == 7
    assert line["kibana"]["alert"]["rule"]["name"] == "A Rule"
    assert line["sockwarden"]["alert"] == {"view": "both"}
    assert alert["sockwarden"]["alert"]["finding"] == FINDING


def test_ecs_has_nothing_of_kibana() -> None:
    alert = build(DOCUMENT, DETECTOR, view="both")
    _, (line,) = written("ecs", alert)
    assert "kibana" not in line
    assert line["event"]["kind"] == "alert"
    assert line["event"]["id"] == alert["kibana"]["alert"]["uuid"]
    assert line["rule"] == {"id": "r1", "name": "A Rule", "version": "1"}
    assert line["threat"]["technique"] == {"id": ["T1611"], "name": ["Escape to Host"]}


def test_tracee_is_the_finding_and_rules_have_none() -> None:
    sink, lines = written(
        "tracee", build(DOCUMENT, DETECTOR, view=None, finding=FINDING), build(DOCUMENT, DETECTOR, view=None)
    )
    assert lines == [FINDING]
    assert sink.left_out == 1


@pytest.mark.parametrize("form", FORMS)
def test_the_alert_stays_as_it_was(form: str) -> None:
    alert = build(DOCUMENT, DETECTOR, view="both", finding=FINDING)
    before = json.dumps(alert)
    written(form, alert)
    assert json.dumps(alert) == before


def test_what_the_document_decided_counts_in_plain_ecs_too() -> None:
    mapped = msgspec.structs.replace(
        DETECTOR,
        severity_mapping=(("event.action", "connected-to", "critical"),),
        risk_score_mapping=(("event.sequence", "", None),),
        rule_name_override="event.action",
    )
    ((document,),) = (written("ecs", build(DOCUMENT, mapped, view=None))[1],)
    assert (document["event"]["severity"], document["event"]["risk_score"]) == (99, 7)
    assert document["rule"]["name"] == "connected-to"
    assert document["event"]["reason"].endswith("critical alert connected-to")


def test_plain_ecs_has_the_events_time() -> None:
    run = RuleExecution("u", "2026-11-22T00:00:00.000Z")
    alert = build(DOCUMENT, DETECTOR, view=None, execution=run)
    assert [written(form, alert)[1][0]["@timestamp"] for form in ("ndjson", "ecs")] == [
        run.timestamp,
        DOCUMENT["@timestamp"],
    ]


def test_each_alert_is_written_with_its_own_rule() -> None:
    """Also where rules come and go, so that one stands where another did, and beyond what is kept."""
    file = io.BytesIO()
    sink = LineSink("ndjson", file)
    expected = []
    for number in range(600):
        named = msgspec.structs.replace(DETECTOR, rule_name_override="message")
        alert = build({**DOCUMENT, "message": f"name {number // 2}"}, named, view=None)
        sink.add(alert)
        shared = build(DOCUMENT, DETECTOR, view=None)
        sink.add(shared)
        expected += [json.loads(encode(alert)), json.loads(encode(shared))]
    sink.close()
    assert [json.loads(line) for line in file.getvalue().splitlines()] == expected


def test_what_no_json_holds_is_written_as_a_question_mark() -> None:
    alerts = [
        build({**DOCUMENT, "message": "\ud800"}, DETECTOR, view=None),
        build(
            {**DOCUMENT, "message": "\ud800"},
            msgspec.structs.replace(DETECTOR, rule_name_override="message"),
            view=None,
        ),
    ]
    _, lines = written("ndjson", *alerts)
    assert [line["message"] for line in lines] == ["?", "?"]
    assert [line["kibana"]["alert"]["rule"]["name"] for line in lines] == ["A Rule", "?"]
