"""Whatever a document holds where an alert looks, the alert has the form that the schema tells."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.alerts import Detector, Grouping, RuleExecution, build, group_of, grouped, iso, take
from sockwarden.content import packaged
from sockwarden.document import encode

VALIDATOR = jsonschema.Draft202012Validator(msgspec.json.decode(packaged("alert.schema.json").read_bytes()))
DETECTORS = [
    Detector("r", "R", "low", 21, "1", [], {}),
    Detector(
        "r",
        "R",
        "low",
        21,
        "1",
        [],
        {},
        severity_mapping=(("event.kind", "x", "high"), ("user.name", "1", "critical")),
        risk_score_mapping=(("event.sequence", "", None), ("user.name", "x", 90)),
        rule_name_override="user.name",
        building_block=True,
    ),
]
FIELDS = ("event.kind", "event.sequence", "user.name", "kibana.alert.depth")
texts = st.text("ax1. \x1b\udcff", max_size=4)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(
    leaves, lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3), max_leaves=6
)
ancestor = st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "index", "type", "depth", "rule", "x"), anything))
kibana = st.fixed_dictionaries(
    {"uuid": anything},
    optional={
        "depth": anything,
        "ancestors": anything | ancestor | st.lists(ancestor, max_size=3),
        "rule": anything | st.fixed_dictionaries({"uuid": anything}),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "_id": anything,
        "_index": anything,
        "_version": anything,
        "@timestamp": anything,
        "event": anything | st.dictionaries(st.sampled_from(("kind", "sequence", "action", "x")), anything),
        "user": anything | st.fixed_dictionaries({"name": anything}),
        "process": anything,
        "sockwarden": anything | st.fixed_dictionaries({"alert": anything, "socket": anything}),
        "kibana": anything | st.fixed_dictionaries({"alert": anything | kibana}),
    },
)


@given(
    document=documents,
    detector=st.sampled_from(DETECTORS),
    execution=st.none() | st.just(RuleExecution("u", iso(0))),
    with_missing=st.booleans(),
)
def test_the_alert_has_its_form(
    document: dict[str, Any], detector: Detector, execution: RuleExecution | None, with_missing: bool
) -> None:
    alert = build(document, detector, view="both", execution=execution)
    if belonging := group_of(document, "r", Grouping(FIELDS[:3], with_missing=with_missing)):
        alert = grouped(alert, belonging, take(None, alert["kibana"]["alert"]["uuid"], 0, None)[0])
    shown = msgspec.json.decode(encode(alert))
    assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(shown)] == []
