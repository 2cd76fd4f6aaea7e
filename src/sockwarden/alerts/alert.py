"""An alert: the document that matched, and what matched it, as `kibana.alert.*`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from sockwarden.alerts.ancestry import ancestry_of, original_event_of
from sockwarden.alerts.detector import Detector, RuleExecution
from sockwarden.alerts.identity import SPACE, uuid_of
from sockwarden.alerts.mapping import name_of, risk_score_of, severity_of
from sockwarden.alerts.suppression import Belonging, GroupState
from sockwarden.document import METADATA, Document, get, values
from sockwarden.health import HEALTH

View = Literal["given", "canonical", "both"]
"""By which address a rule matched: the one the caller gave, the one it reached, or either."""
_MOST_ADDRESSES = 3
_MOST_SUMMARY = 500
"""Characters of what was asked: others write them."""
_VERBS = {
    "connected-to": "connected to",
    "opened-file": "opened",
    "held-connection": "holds a connection to",
    "received-descriptor": "was passed a connection to",
    "duplicated-descriptor": "duplicated a connection to",
    "inherited-descriptor": "inherited a connection to",
}
_FAILED = {"connected-to": "failed to connect to", "opened-file": "failed to open"}


def build(
    document: Document,
    detector: Detector,
    *,
    view: View | None,
    finding: dict[str, Any] | None = None,
    execution: RuleExecution | None = None,
) -> Document:
    """The alert: a copy of the document with `kibana.alert.*` added, its place in an index moved to `ancestors`.

    finding: what a signature returned, in Tracee's form; kept so that `--output tracee` can print it.
    execution: the run that makes it, whose time is then the alert's; else that is the document's, so that the same
    document always makes the same alert.
    """
    alert = {key: value for key, value in document.items() if key not in METADATA}
    event = document.get("event")
    alert["event"] = {**event, "kind": "signal"} if isinstance(event, dict) else {"kind": "signal"}
    original_time = document.get("@timestamp")
    name, severity = name_of(document, detector), severity_of(document, detector)
    depth, ancestors = ancestry_of(document)
    rule = detector.rule if name == detector.name else {**detector.rule, "name": name}
    created = original_time
    if execution:
        created = alert["@timestamp"] = execution.timestamp
        told = {"uuid": execution.uuid, "timestamp": execution.timestamp, "type": execution.type}
        rule = {**rule, "execution": told}
    signal = {
        "uuid": uuid_of(document, detector.rule_id),
        "rule": rule,
        "severity": severity,
        "risk_score": risk_score_of(document, detector),
        "reason": reason_of(document, name, severity),
        "original_time": original_time,
        "original_event": original_event_of(document),
        "start": created,
        "last_detected": created,
        "status": "active",
        "workflow_status": "open",
        "workflow_tags": [],
        "workflow_assignee_ids": [],
        "depth": depth,
        "ancestors": ancestors,
    }
    if original_time is None:
        for key in ("original_time", "start", "last_detected")[: 1 if execution else 3]:
            del signal[key]
    if execution:
        signal["intended_timestamp"] = execution.intended or execution.timestamp
    if detector.building_block:
        signal["building_block_type"] = "default"
    alert["kibana"] = {"alert": signal, "space_ids": [SPACE]}
    _add_own(alert, document, detector, name, view, finding)
    return alert


def _add_own(
    alert: Document,
    document: Document,
    detector: Detector,
    name: str,
    view: View | None,
    finding: dict[str, Any] | None,
) -> None:
    """`sockwarden.alert`, of this alert alone: one that the document had is another's."""
    own: dict[str, Any] = {}
    if view:
        own["view"] = view
    if finding:
        own["finding"] = finding
    if name != detector.name:
        own["rule_name"] = detector.name
    ours = _object(document, "sockwarden")
    if own:
        alert["sockwarden"] = {**ours, "alert": own}
    elif "alert" in ours:
        alert["sockwarden"] = {key: value for key, value in ours.items() if key != "alert"}


def grouped(alert: Document, belonging: Belonging, state: GroupState) -> Document:
    """The alert that stands for a group, with what the group took in so far."""
    signal = {
        **alert["kibana"]["alert"],
        "instance": {"id": belonging.key},
        "suppression": {"terms": belonging.terms, **counted(state)},
    }
    return {**alert, "kibana": {**alert["kibana"], "alert": signal}}


def counted(state: GroupState) -> dict[str, Any]:
    """The part of `kibana.alert.suppression` that changes with each match."""
    return {"start": iso(state.start), "end": iso(state.end), "docs_count": state.count}


def iso(milliseconds: int) -> str:
    """A time as documents carry it: ISO 8601, UTC, milliseconds. Beyond the years 1 to 9999: their end."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3].rjust(23, "0") + "Z"
    except (ValueError, OverflowError, OSError):
        return "0001-01-01T00:00:00.000Z" if milliseconds < 0 else "9999-12-31T23:59:59.999Z"


def reason_of(document: Document, name: str, severity: str) -> str:
    """One sentence: who did what to which socket, or asked what over it, and which rule of what severity says so. A
    health document has its own sentence.
    """
    event, process, user = (_object(document, name) for name in ("event", "process", "user"))
    if event.get("dataset") == HEALTH:
        return f"{get(document, 'message')}: {severity} alert {name}"
    program = process.get("name") or process.get("executable") or "an unknown program"
    who = named(user)
    ours = _object(document, "sockwarden")
    socket = _object(ours, "socket")
    canonical, given = socket.get("canonical"), socket.get("address_as_given")
    target = str(canonical or given or "") or socket_of(document) or "an unknown address"
    as_given = f", given as {given}" if canonical and given and given != canonical else ""
    action = str(event.get("action"))
    verb, why = _VERBS.get(action, "reached"), ""
    if event.get("outcome") == "failure":
        verb = _FAILED.get(action, "failed to reach")
        code = get(document, "error.code")
        why = f" ({code})" if code else ""
    by = "" if who is None else f" by user {who}"
    if "request" in ours and (summary := asked_of(document)):
        runtime = f"{socket['runtime']} on " if socket.get("runtime") else ""
        verb, target, why = "asked", f"{runtime}{target}{as_given} to {summary}", _answered(document)
        as_given = ""
    made, times = _made(document) if "connection" in ours else "", _times(document) if "loss" in ours else ""
    return f"{program}{by} {verb} {target}{as_given}{why}{made}{times}: {severity} alert {name}"


def named(user: Document) -> object:
    """What a reason calls a user; None for nobody."""
    return user.get("name") or user.get("id")


def asked_of(document: Document) -> str:
    """What was asked over a connection, as its summary or else as it was asked; empty of an access alone."""
    request = get(document, "sockwarden.request")
    if not isinstance(request, dict):
        return ""
    parts = ("summary",), ("operation",), ("method", "path")
    told = (" ".join(str(request[key]) for key in keys if request.get(key)) for keys in parts)
    return next(filter(None, told), "do something that nobody could read")[:_MOST_SUMMARY]


def _answered(document: Document) -> str:
    """That a request was refused."""
    status = get(document, "sockwarden.request.status")
    if get(document, "event.action") != "requested" or get(document, "event.outcome") != "failure":
        return ""
    return f" (refused, {status})" if status is not None else " (refused)"


def _made(document: Document) -> str:
    """Who had made a connection that is in other hands."""
    connector = _object(_object(_object(document, "sockwarden"), "connection"), "connector")
    pid = connector.get("pid")
    if pid is None or pid == get(document, "process.pid"):
        return ""
    return f", made by {connector.get('name') or connector.get('executable') or 'process'} {pid}"


def _times(document: Document) -> str:
    """That a document stands for many accesses, which were counted only."""
    count = get(document, "sockwarden.loss.folded")
    return f", {count:,} times" if isinstance(count, int) and count > 1 else ""


def socket_of(document: Document) -> str | None:
    """The socket that was reached, by the best name there is; None where nothing names it. Events out of an index were
    not resolved by us: there it is `destination.address`, which may hold several values.
    """
    named = get(document, "sockwarden.socket.canonical") or get(document, "sockwarden.socket.address_as_given")
    if named:
        return str(named)
    return ", ".join(map(str, islice(values(document, "destination.address"), _MOST_ADDRESSES))) or None


def _object(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, dict) else {}
