"""Alerts for the sinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockwarden.alerts import Detector, build
from sockwarden.health import Trouble, document_of

Make = Callable[..., dict[str, Any]]


def _detector(name: str, severity: Any) -> Detector:
    technique = {"id": "T1611", "name": "Escape to Host"}
    tactic = {"id": "TA0004", "name": "Privilege Escalation"}
    threat = [{"tactic": tactic, "technique": [technique]}]
    return Detector(name, name, severity, 73, "1", threat, {})


@pytest.fixture
def alert() -> Make:
    """`alert(pid, rule=…, serial=…)` makes the alert of one access."""

    def make(
        pid: int, *, rule: str = "A Rule", serial: int = 1, title: str = "curl", severity: str = "high"
    ) -> dict[str, Any]:
        document = {
            "_index": "sockwarden",
            "_id": f"{pid}-{serial}",
            "@timestamp": f"2026-11-22T10:00:{serial % 60:02}.000Z",
            "event": {"kind": "event", "action": "connected-to", "outcome": "success"},
            "process": {"pid": pid, "executable": "/usr/bin/curl", "title": title},
            "sockwarden": {"socket": {"runtime": "docker", "canonical": "/run/docker.sock"}},
        }
        return build(document, _detector(rule, severity), view=None)

    return make


@pytest.fixture
def health_alert() -> dict[str, Any]:
    """An alert of a trouble of the sensor's."""
    trouble = Trouble("audit-disabled", "Audit was switched off; it is on again.", "enabled 0\x1b[31m\nby pid 3")
    return build(document_of(trouble, 1_795_000_000.0), _detector("Watching Impaired", "critical"), view=None)
