"""The same accesses as other programs export them give the same alerts."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from sockwarden.auditrecords import Assembler, Event, Record, document_of, parse_line
from sockwarden.detect import RuleDetection, SignatureDetection
from sockwarden.document import get
from sockwarden.pipeline.hunt import Hunt, Window
from sockwarden.readers import plan
from sockwarden.rules import load_packaged, parse_rule, select
from sockwarden.signatures import SIGNATURES

CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "seed-rules.audit.log"
TRACEE = Path(__file__).parents[1] / "readers" / "tracee"


def recorded() -> list[dict[str, Any]]:
    """The capture's connects, as an exporter that knows nothing of sockwarden has them."""
    assembler = Assembler()
    events: list[Event] = []
    for line in CAPTURE.read_bytes().splitlines():
        record = parse_line(line)
        assert isinstance(record, Record)
        events += assembler.push(record)
    exported = []
    for document in filter(None, map(document_of, [*events, *assembler.flush()])):
        if get(document, "event.action") == "connected-to":
            given = get(document, "sockwarden.socket.address_as_given")
            kept = {
                key: value for key, value in document.items() if key not in ("sockwarden", "_id", "_index", "_version")
            }
            del kept["event"]["original"]
            exported.append(kept | {"given": given})
    return exported


def as_auditbeat(document: dict[str, Any], _: int) -> dict[str, Any]:
    given = document.pop("given")
    return document | {"destination": {"path": given}}


def as_auditd_manager(document: dict[str, Any], _: int) -> dict[str, Any]:
    given = document.pop("given")
    return document | {"destination": {"address": given}, "data_stream": {"dataset": "auditd_manager.auditd"}}


def as_hit(document: dict[str, Any], number: int) -> dict[str, Any]:
    source = as_auditd_manager(document, number)
    # Kibana's exports write dotted keys where a pipeline did.
    source["event.module"] = source["event"].pop("module")
    return {"_index": "logs-auditd_manager.auditd-default", "_id": f"id{number}", "_version": 1, "_source": source}


def hunt(
    path: Path, *names: str, literal: bool = False, window: Window | None = None
) -> tuple[Hunt, list[dict[str, Any]]]:
    rules = [RuleDetection(rule) for name in names for rule in select(load_packaged(), name)]
    run = Hunt(rules or [SignatureDetection(kind()) for kind in SIGNATURES], literal=literal, window=window)
    return run, list(run.alerts(plan([str(path)])))


PUBLISHED = "unusual-process-connection-runtime-socket"


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("shape", [as_auditbeat, as_auditd_manager, as_hit])
def test_ecs_shapes(shape: Callable[[dict[str, Any], int], dict[str, Any]], literal: bool, tmp_path: Path) -> None:
    _, expected = hunt(CAPTURE, PUBLISHED, literal=literal)
    path = tmp_path / "export.ndjson"
    path.write_text("".join(json.dumps(shape(document, number)) + "\n" for number, document in enumerate(recorded())))
    run, alerts = hunt(path, PUBLISHED, literal=literal)
    assert run.formats == {"ECS NDJSON": 1}
    assert [get(alert, "event.sequence") for alert in alerts] == [get(alert, "event.sequence") for alert in expected]
    for alert, other in zip(alerts, expected, strict=True):
        assert get(alert, "destination.address") == get(other, "destination.address")
        assert get(alert, "sockwarden.socket") == {**get(other, "sockwarden.socket")}


def test_a_search_response_on_one_line(tmp_path: Path) -> None:
    hits = [as_hit(document, number) for number, document in enumerate(recorded())]
    path = tmp_path / "response.json"
    path.write_text(json.dumps({"took": 3, "hits": {"total": {"value": len(hits)}, "hits": hits}}) + "\n")
    _, alerts = hunt(path, PUBLISHED)
    assert len(alerts) == len(hunt(CAPTURE, PUBLISHED)[1])


def test_a_hit_keeps_its_place_in_the_index(tmp_path: Path) -> None:
    hit = as_hit(next(one for one in recorded() if one["given"] == "/run/docker.sock"), 7)
    path = tmp_path / "hit.ndjson"
    path.write_text(json.dumps(hit) + "\n")
    (alert,) = hunt(path, PUBLISHED)[1]
    assert get(alert, "kibana.alert.ancestors") == [
        {"id": "id7", "index": "logs-auditd_manager.auditd-default", "type": "event", "depth": 0}
    ]


def test_documents_whose_id_is_null_are_told_apart(tmp_path: Path) -> None:
    hit = as_hit(next(one for one in recorded() if one["given"] == "/run/docker.sock"), 7) | {"_id": None}
    hits = [{**hit, "_source": {**hit["_source"], "process": {"executable": "/x", "pid": pid}}} for pid in (1, 2)]
    path = tmp_path / "hits.ndjson"
    path.write_text("".join(json.dumps(hit) + "\n" for hit in hits))
    run, alerts = hunt(path, PUBLISHED)
    assert [get(alert, "process.pid") for alert in alerts] == [1, 2]
    assert run.engine.repeated == 0


@pytest.mark.parametrize("name", ["classic-connect", "v1beta1-connect"])
def test_tracee_signatures(name: str) -> None:
    run, alerts = hunt(TRACEE / f"{name}.jsonl")
    assert run.formats == {"Tracee JSON": 1}
    found = {get(alert, "kibana.alert.rule.rule_id") for alert in alerts}
    assert found == {"TRC-1019", "SWD-0001"}
    for alert in alerts:
        finding = get(alert, "sockwarden.alert.finding")
        assert finding["Data"] is None
        assert finding["SigMetadata"]["ID"] == get(alert, "kibana.alert.rule.rule_id")
        assert get(alert, "sockwarden.actor.origin") == "container"


def test_a_missing_argument_is_counted(tmp_path: Path) -> None:
    event = json.loads((TRACEE / "classic-connect.jsonl").read_text().splitlines()[0])
    event["args"] = [argument for argument in event["args"] if argument["name"] != "remote_addr"]
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(event) + "\n")
    run, alerts = hunt(path)
    assert not alerts
    assert sum(run.met.counts.errors.values()) == 1
    assert "remote_addr" in next(iter(run.met.counts.errors))


def test_the_window_cuts_alerts_but_not_lessons() -> None:
    _, everything = hunt(CAPTURE, PUBLISHED)
    aliased = next(alert for alert in everything if get(alert, "sockwarden.alert.view") == "canonical")
    moment = get(aliased, "@timestamp")
    _, found = hunt(CAPTURE, PUBLISHED, window=Window(moment, moment))
    assert [get(alert, "kibana.alert.uuid") for alert in found] == [get(aliased, "kibana.alert.uuid")]


@pytest.mark.parametrize(
    ("index", "alerts"),
    [
        ("auditbeat-8.15.0", 1),
        (".ds-logs-auditd_manager.auditd-default-2026.11.21-000004", 1),
        ("paris:.ds-auditbeat-8.15.0-2026.11.21-000001", 1),
        ("filebeat-8.15.0", 0),
        ("x-auditbeat-8", 0),
    ],
)
def test_a_rules_index_patterns_select_among_hits(index: str, alerts: int, tmp_path: Path) -> None:
    hit = as_hit(next(one for one in recorded() if one["given"] == "/run/docker.sock"), 7)
    path = tmp_path / "hit.ndjson"
    path.write_text(json.dumps(hit | {"_index": index}) + "\n")
    run, found = hunt(path, PUBLISHED)
    assert len(found) == alerts
    assert sum(run.met.counts.outside.values()) == 1 - alerts


def test_an_index_may_be_named_whole(tmp_path: Path) -> None:
    source = (files("sockwarden.content") / "rules" / f"{PUBLISHED}.toml").read_text()
    rule = parse_rule(source.replace('"auditbeat-*"', '"auditbeat"'), "mine.toml")
    path = tmp_path / "hits.ndjson"
    hit = as_hit(next(one for one in recorded() if one["given"] == "/run/docker.sock"), 7)
    lines = [json.dumps(hit | {"_index": index, "_id": index}) for index in ("auditbeat", "auditbeat-8")]
    path.write_text("\n".join(lines))
    run = Hunt([RuleDetection(rule)])
    assert [get(alert, "kibana.alert.ancestors")[0]["id"] for alert in run.alerts(plan([str(path)]))] == ["auditbeat"]
