"""Bulk requests to what is no cluster."""

from __future__ import annotations

from typing import Any

import pytest

from sockwarden.cluster.connection import Connection
from sockwarden.sinks.index import BulkCarrier, item
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
