"""Bulk requests to what is no cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from story_documents import document_of

from sockwarden.cluster.connection import Connection
from sockwarden.sinks.index import AccessIndex, AlertIndex, BulkCarrier, item, raised_item
from sockwarden.sinks.spool import Entry

REASON = b'{"error": {"type": "illegal_argument_exception", "reason": "no"}, "status": 400}'


@pytest.mark.parametrize(
    ("code", "body", "refused"),
    [
        (400, b"<html>The plain HTTP request was sent to HTTPS port</html>", 0),
        (400, b"{}", 0),
        (400, REASON, 3),
        (413, b"<html>Request Entity Too Large</html>", 3),
    ],
)
def test_what_a_proxy_refuses_waits(hook: Any, code: int, body: bytes, refused: int) -> None:
    hook.answers = [(code, {}, body)]
    carrier = BulkCarrier(Connection(f"http://127.0.0.1:{hook.port}"))
    outcome = carrier.send([Entry(b"%d" % number, item("t", str(number), {"a": 1})[1]) for number in range(3)])
    carrier.close()
    assert (len(outcome.done), len(outcome.refused), bool(outcome.again)) == (0, refused, not refused)


ALERT = {"kibana": {"alert": {"uuid": "u", "severity": "critical", "workflow_status": "open"}}}


@pytest.mark.parametrize(
    ("action", "status", "done", "again"),
    [
        ("create", 201, 1, False),
        ("create", 409, 1, False),
        ("update", 200, 1, False),
        ("update", 201, 1, False),
        ("update", 409, 0, True),
        ("delete", 200, 0, True),
    ],
)
def test_what_the_cluster_says_of_an_entry(hook: Any, action: str, status: int, done: int, *, again: bool) -> None:
    """A conflict of two creations is one document; one of two changes is a change that is not there yet."""
    hook.answers = [(200, {}, json.dumps({"items": [{action: {"status": status}}]}).encode())]
    carrier = BulkCarrier(Connection(f"http://127.0.0.1:{hook.port}"))
    outcome = carrier.send([Entry(b"1", raised_item("t", "u", ALERT)[1])])
    carrier.close()
    assert (len(outcome.done), bool(outcome.again)) == (done, again)


def test_a_raised_alert_changes_all_but_what_people_said() -> None:
    key, payload = raised_item("t", "u", ALERT)
    action, body = (json.loads(line) for line in payload.splitlines())
    assert key != item("t", "u", ALERT)[0]
    assert action == {"update": {"_index": "t", "_id": "u", "retry_on_conflict": 3}}
    assert body == {"doc": {"kibana": {"alert": {"uuid": "u", "severity": "critical"}}}, "upsert": ALERT}


def test_where_documents_go(hook: Any, tmp_path: Path, until: Callable[..., None]) -> None:
    connection = Connection(f"http://127.0.0.1:{hook.port}")
    accesses, alerts = AccessIndex(connection, tmp_path, "x"), AlertIndex(connection, tmp_path, "x")
    accesses.accesses([document_of(), document_of(1, asked={"risk": "low"})])
    alerts.add([ALERT, {**ALERT, "sockwarden": {"alert": {"raised_from": "medium"}}}])
    until(lambda: len(hook.requests) >= 2)
    accesses.close()
    alerts.close()
    lines = [json.loads(line) for _, body in hook.requests for line in body.splitlines()]
    named = [line[key]["_index"] for line in lines for key in ("create", "update") if key in line]
    assert {*named} == {"logs-sockwarden.access-x", "logs-sockwarden.request-x", "sockwarden-alerts-x"}
    assert not any(sink.notifies for sink in (accesses, alerts))
