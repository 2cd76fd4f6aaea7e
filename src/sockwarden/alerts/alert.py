"""An alert: the document that matched, and what matched it, as `kibana.alert.*`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from sockwarden.alerts.identity import uuid_of
from sockwarden.document import METADATA, Document, get, put
from sockwarden.health import HEALTH

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
RISK_SCORES: dict[Severity, int] = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""The risk score that Elastic's rules use with a severity."""

View = Literal["given", "canonical", "both"]
"""By which address a rule matched: the one the caller gave, the one it reached, or either."""


class Detector(msgspec.Struct, frozen=True):
    """What an alert says of the rule or signature that made it.

    risk_score  0 to 100
    threat      ATT&CK entries in the form of Elastic's [[rule.threat]]
    parameters  the rule as written
    """

    rule_id: str
    name: str
    severity: Severity
    risk_score: int
    version: str
    threat: list[dict[str, Any]]
    parameters: dict[str, Any]


def build(
    document: Document, detector: Detector, *, view: View | None, finding: dict[str, Any] | None = None
) -> Document:
    """The alert: a copy of the document with `kibana.alert.*` added, its place in an index moved to `ancestors`.

    finding: what a signature returned, in Tracee's form; kept so that `--output tracee` can print it.
    """
    alert = {key: value for key, value in document.items() if key not in METADATA}
    alert["event"] = {**(get(document, "event") or {}), "kind": "signal"}
    rule = {
        "name": detector.name,
        "rule_id": detector.rule_id,
        "version": detector.version,
        "severity": detector.severity,
        "risk_score": detector.risk_score,
        "threat": detector.threat,
        "parameters": detector.parameters,
    }
    ancestor = {"id": document.get("_id"), "index": document.get("_index"), "type": "event", "depth": 0}
    alert["kibana"] = {
        "alert": {
            "uuid": uuid_of(document, detector.rule_id),
            "rule": {key: value for key, value in rule.items() if value is not None},
            "severity": detector.severity,
            "risk_score": detector.risk_score,
            "reason": reason_of(document, detector),
            "original_time": document.get("@timestamp"),
            "status": "active",
            "workflow_status": "open",
            "depth": 1,
            "ancestors": [ancestor],
        }
    }
    if view or finding:
        alert["sockwarden"] = {**(get(document, "sockwarden") or {})}
        put(alert, "sockwarden.alert.view", view)
        put(alert, "sockwarden.alert.finding", finding)
    return alert


def reason_of(document: Document, detector: Detector) -> str:
    """One sentence: who did what to which socket, and which rule of what severity says so. A health document has its
    own sentence.
    """
    if get(document, "event.dataset") == HEALTH:
        return f"{get(document, 'message')}: {detector.severity} alert {detector.name}"
    program = get(document, "process.name") or get(document, "process.executable") or "an unknown program"
    user = get(document, "user.name") or get(document, "user.id")
    canonical, given = get(document, "sockwarden.socket.canonical"), get(document, "sockwarden.socket.address_as_given")
    target = canonical or given or get(document, "destination.address") or "an unknown address"
    as_given = f", given as {given}" if canonical and given and given != canonical else ""
    verb = {"connected-to": "connected to", "opened-file": "opened"}.get(str(get(document, "event.action")), "reached")
    if get(document, "event.outcome") == "failure":
        verb = f"tried and failed: {verb}"
    who = f" by user {user}" if user is not None else ""
    return f"{program}{who} {verb} {target}{as_given}: {detector.severity} alert {detector.name}"
