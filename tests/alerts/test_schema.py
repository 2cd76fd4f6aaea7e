"""Every alert has the form that the schema tells, and the page of fields says what the schema says, and
of the fields of accesses what access_fields.tsv says.

REWRITE_GOLDEN=1 writes the page anew.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from sockwarden.alerts import build
from sockwarden.content import packaged
from sockwarden.detect import Engine, RuleDetection, SignatureDetection
from sockwarden.detect.scheduled import Window
from sockwarden.document import encode, get
from sockwarden.health import Trouble, document_of
from sockwarden.kql.types import ECS
from sockwarden.pipeline.hunt import Hunt
from sockwarden.pipeline.scheduled import Runner
from sockwarden.readers import plan
from sockwarden.readers.tracee import to_document
from sockwarden.rules import Rule, load_packaged, select
from sockwarden.rules.rule import RiskScoreMapping, SeverityMapping, Suppression
from sockwarden.signatures import SIGNATURES
from sockwarden.store import Store

ROOT = Path(__file__).parents[2]
LOGS = [str(path) for path in sorted((ROOT / "tests" / "data" / "captures").glob("*.audit.log"))]
PAGE = ROOT / "docs" / "alert-fields.md"
SCHEMA = msgspec.json.decode(packaged("alert.schema.json").read_bytes())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
WHOLE: dict[str, Any] = {
    "severity_mapping": (SeverityMapping("user.id", "high", "0"),),
    "risk_score_mapping": (RiskScoreMapping("process.pid"), RiskScoreMapping("user.id", "0", 90)),
    "rule_name_override": "process.name",
    "timestamp_override": "event.ingested",
    "building_block": True,
    "investigation_fields": ("process.executable",),
    "suppression": Suppression(("process.name", "no.such.field"), duration_ms=60_000),
}


def flaws(alert: dict[str, Any]) -> list[str]:
    """As JSON has it: a rule's tuples are lists."""
    shown = msgspec.json.decode(encode(alert))
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(shown)]


def published(**changed: Any) -> Rule:
    (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    return msgspec.structs.replace(rule, **changed)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("changed", [{}, WHOLE], ids=["as published", "with everything"])
def test_alerts_of_captures(changed: dict[str, Any]) -> None:
    alerts = list(Hunt([RuleDetection(published(**changed))]).alerts(plan(LOGS)))
    assert alerts
    assert [flaw for alert in alerts for flaw in flaws(alert)] == []
    for field in ("suppression", "building_block_type", "rule.investigation_fields"):
        assert {get(alert, f"kibana.alert.{field}") is not None for alert in alerts} == {bool(changed)}


def test_alerts_of_signatures() -> None:
    engine = Engine([SignatureDetection(kind()) for kind in SIGNATURES])
    cases = (ROOT / "tests" / "signatures" / "cases.jsonl").read_text("utf-8").splitlines()
    events = [msgspec.json.decode(case).get("event") for case in cases]
    documents = [to_document(event) for event in events if event]
    alerts = [alert for document in documents if document for alert in engine.judge(document)]
    assert alerts
    assert [flaw for alert in alerts for flaw in flaws(alert)] == []


def test_alerts_of_health() -> None:
    engine = Engine([RuleDetection(rule) for rule in load_packaged()])
    trouble = Trouble("rule-gap-recorded", "a gap", "r")
    alerts = list(engine.judge(document_of(trouble, 1_795_000_000)))
    assert alerts and [flaw for alert in alerts for flaw in flaws(alert)] == []


@pytest.mark.parametrize("changed", [{"max_signals": 5}, WHOLE | {"max_signals": 3}], ids=["plain", "with everything"])
def test_alerts_of_runs(tmp_path: Path, changed: dict[str, Any]) -> None:
    rule = published(**changed)
    documents = []
    detection = RuleDetection(rule)
    for alert in Hunt([RuleDetection(published())]).alerts(plan(LOGS[:1])):
        source = {key: value for key, value in alert.items() if key != "kibana"}
        documents.append({**source, "_id": get(alert, "kibana.alert.uuid"), "_version": 1})
    with Store(tmp_path, create=True) as store:
        store.add_accesses(documents)
        runner = Runner(store, store.source, clock=lambda: 1_795_000_000_000)
        assert runner.fill(detection, Window(0, 1_800_000_000_000), []).status == "partial"
        kept = [alert for kind in ("alert", "building_block") for alert in store.newest(1000, kind=kind)]
        overflow = list(store.newest(1000, kind="overflow"))
    assert kept and overflow
    assert [flaw for alert in kept + overflow for flaw in flaws(alert)] == []
    assert {get(alert, "kibana.alert.rule.execution.type") for alert in kept} == {"manual"}


def test_alerts_on_alerts() -> None:
    detector = RuleDetection(published()).detector
    alert = build({"_id": "a", "_index": "i", "_version": 1}, detector, view=None)
    again = build({**alert, "_id": "b", "_index": "i", "_version": 1}, detector, view=None)
    assert flaws(alert) == flaws(again) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", 0),
        ("depth", None),
        ("unheard", 1),
        ("severity", "urgent"),
        ("risk_score", 101),
        ("instance", {"id": "x"}),
    ],
)
def test_what_is_wrong_is_told(field: str, value: object) -> None:
    alert = build({"_id": "a", "_index": "i"}, RuleDetection(published()).detector, view=None)
    alert["kibana"]["alert"][field] = value
    assert flaws(alert)


def leaves(node: dict[str, Any], name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Field, what it is, schema: of every field that holds values, an array's as the field itself."""
    inner = node.get("items", node)
    if "properties" not in inner:
        yield name, node["description"], node
    for key, part in inner.get("properties", {}).items():
        yield from leaves(part, f"{name}.{key}" if name else key)


FIELDS = list(leaves(SCHEMA["properties"]["kibana"], "kibana"))


def access_fields() -> dict[str, str]:
    """What each field of an access means."""
    with Path(__file__).with_name("access_fields.tsv").open(encoding="utf-8", newline="") as rows:
        return {row["field"]: row["meaning"] for row in csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)}


ACCESS_FIELDS = access_fields()


def test_every_field_of_ours_has_its_row() -> None:
    ours = {name for name in ECS.names() if name.startswith("sockwarden.")}
    assert ours == {name for name in ACCESS_FIELDS if name.startswith("sockwarden.")}


@pytest.mark.parametrize("field", [*(field for field, _, _ in FIELDS), *ACCESS_FIELDS])
def test_every_field_has_a_type(field: str) -> None:
    assert ECS.type_of(field)


def page() -> str:
    rows = []
    for field, description, schema in FIELDS:
        allowed = schema.get("enum", ())
        values = f" One of {', '.join(f'`{value}`' for value in allowed)}." if allowed else ""
        rows.append(f"| `{field}` | {ECS.type_of(field)} | {description}{values} |")
    return "\n".join(
        [
            "# Fields of an alert",
            "",
            "An alert is the document that matched, with all its fields, `event.kind: signal`, and these fields. The",
            "schema is `src/sockwarden/content/alert.schema.json`; this page is written from it",
            "(`REWRITE_GOLDEN=1 pytest tests/alerts`). What is unknown is left out.",
            "",
            "| field | type | |",
            "|---|---|---|",
            *rows,
            "",
            "## Fields of an access",
            "",
            "An access has ECS's fields of event, process, user, host and container, and these",
            "(`tests/alerts/access_fields.tsv`). `event.dataset` is `sockwarden.access` by eBPF and the sweep,",
            "`auditd.log` by audit, and `sockwarden.health` of what goes wrong with the watching.",
            "",
            "| field | type | |",
            "|---|---|---|",
            *(f"| `{field}` | {ECS.type_of(field)} | {meaning} |" for field, meaning in ACCESS_FIELDS.items()),
            "",
        ]
    )


def test_the_page_is_the_schemas() -> None:
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
