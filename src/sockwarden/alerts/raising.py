"""An alert is made at the connect, before anything is asked: what is asked then may raise it."""

from __future__ import annotations

from typing import Any

from sockwarden.alerts.alert import reason_of
from sockwarden.alerts.detector import SEVERITIES, Detector
from sockwarden.alerts.mapping import risk_score_of, severity_of
from sockwarden.document import Document, get

RAISED_FROM = "sockwarden.alert.raised_from"
"""The severity that an alert had before; of an alert that was raised alone."""


def raised(alert: Document, access: Document, request: dict[str, Any]) -> Document | None:
    """The alert of an access with what was asked over its connection (`sockwarden.request`), by the mappings of its own
    rule; the same uuid. None where these do not make it more severe.
    """
    signal = alert["kibana"]["alert"]
    before, rule = signal["severity"], signal["rule"]
    document = {**access, "sockwarden": {**(get(access, "sockwarden") or {}), "request": request}}
    detector = Detector(
        rule_id=rule["rule_id"],
        name=rule["name"],
        severity=before,
        risk_score=signal["risk_score"],
        version=rule["version"],
        threat=[],
        parameters={},
        severity_mapping=tuple((one["field"], one["value"], one["severity"]) for one in _mapping(rule, "severity")),
        risk_score_mapping=tuple(
            (one["field"], one.get("value", ""), one.get("risk_score")) for one in _mapping(rule, "risk_score")
        ),
    )
    severity = severity_of(document, detector)
    if SEVERITIES.index(severity) <= SEVERITIES.index(before):
        return None
    changed = {
        "severity": severity,
        "risk_score": max(risk_score_of(document, detector), signal["risk_score"]),
        "reason": reason_of(document, rule["name"], severity),
    }
    ours = get(alert, "sockwarden") or {}
    own = {**(ours.get("alert") or {}), "raised_from": before}
    return {
        **alert,
        "kibana": {**alert["kibana"], "alert": {**signal, **changed}},
        "sockwarden": {**ours, "request": request, "alert": own},
    }


def is_raised(alert: Document) -> bool:
    """Whether an alert is one that was told before, less severe."""
    return get(alert, RAISED_FROM) is not None


def _mapping(rule: dict[str, Any], of: str) -> list[dict[str, Any]]:
    return rule.get(f"{of}_mapping") or []
