"""What goes wrong with the watching itself: a document like any other, so that rules judge it and sinks carry it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

import msgspec

from sockwarden.document import Document

HEALTH = "sockwarden.health"
"""event.dataset of such documents."""

Action = Literal[
    "audit-rules-removed",
    "audit-disabled",
    "audit-rules-shadowed",
    "audit-records-lost",
    "audit-status-changed",
    "events-lost",
    "sensor-not-watching",
    "requests-not-read",
    "socket-out-of-sight",
    "rule-run-failed",
    "rule-gap-recorded",
]


class Trouble(msgspec.Struct, frozen=True):
    """One thing that keeps accesses from being seen, or may.

    action   what happened
    message  one sentence for a person: what happened, and what was done about it
    detail   the rule, path, counter or process that it is about
    """

    action: Action
    message: str
    detail: str = ""


def document_of(trouble: Trouble, time: float) -> Document:
    """The document of a trouble that was noticed at a time in seconds since the epoch."""
    moment = f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    identity = "\n".join((moment, trouble.action, trouble.message, trouble.detail))
    return {
        "_index": "sockwarden",
        "_id": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
        "_version": 1,
        "@timestamp": moment,
        "message": trouble.message,
        "event": {
            "kind": "event",
            "module": "sockwarden",
            "dataset": HEALTH,
            "category": ["configuration"],
            "type": ["change"],
            "action": trouble.action,
        },
        "host": {"os": {"type": "linux"}},
        "sockwarden": {"health": {"detail": trouble.detail}},
    }
