"""What a rule's alerts say of it, in Kibana's names, made once a rule."""

from __future__ import annotations

from typing import Any

import msgspec

from sockwarden.alerts import Detector, Grouping
from sockwarden.rules import Rule
from sockwarden.rules.moments import span_ms


def detector_of(rule: Rule) -> Detector:
    """The rule as its alerts tell of it."""
    return Detector(
        rule_id=rule.rule_id,
        name=rule.name,
        severity=rule.severity,
        risk_score=rule.risk_score,
        version=str(rule.version),
        threat=msgspec.to_builtins(rule.threat),
        parameters=rule.parameters(),
        more=_more(rule),
        severity_mapping=tuple((one.field, one.value, one.severity) for one in rule.severity_mapping),
        risk_score_mapping=tuple((one.field, one.value, one.risk_score) for one in rule.risk_score_mapping),
        rule_name_override=rule.rule_name_override,
        building_block=rule.building_block,
        suppression=_grouping(rule),
        interval_ms=span_ms(rule.interval),
    )


def _grouping(rule: Rule) -> Grouping | None:
    asked = rule.suppression
    if asked is None:
        return None
    return Grouping(asked.group_by, asked.duration_ms, asked.missing_fields_strategy == "suppress")


def _more(rule: Rule) -> dict[str, Any]:
    """The facts of `kibana.alert.rule` that no document changes. A rule has one identity here, so uuid is rule_id."""
    known: dict[str, Any] = {
        "uuid": rule.rule_id,
        "description": rule.description,
        "author": list(rule.author),
        "category": "Custom Query Rule",
        "consumer": "siem",
        "producer": "siem",
        "rule_type_id": "siem.queryRule",
        "type": "query",
        "enabled": rule.enabled,
        "immutable": rule.table.get("immutable") is True,
        "false_positives": list(rule.false_positives),
        "from": rule.from_,
        "to": rule.to,
        "interval": rule.interval,
        "max_signals": rule.max_signals,
        "license": rule.license,
        "note": rule.note,
        "setup": rule.setup,
        "references": list(rule.references),
        "risk_score_mapping": [
            {key: value for key, value in msgspec.to_builtins(one).items() if value is not None}
            for one in rule.risk_score_mapping
        ],
        "severity_mapping": msgspec.to_builtins(list(rule.severity_mapping)),
        "tags": list(rule.tags),
        "exceptions_list": list(rule.table.get("exceptions_list") or []),
        "actions": list(rule.table.get("actions") or []),
        "rule_name_override": rule.rule_name_override,
        "timestamp_override": rule.timestamp_override,
        "timestamp_override_fallback_disabled": rule.timestamp_override_fallback_disabled,
    }
    if rule.building_block:
        known["building_block_type"] = "default"
    if rule.investigation_fields:
        known["investigation_fields"] = {"field_names": list(rule.investigation_fields)}
    # What the rule does not say is left out, not told as empty.
    return {key: value for key, value in known.items() if value != ""}
