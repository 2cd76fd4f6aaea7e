"""The one alert that stands for all matches beyond max_signals."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from sockwarden.detect.scheduled.windows import Window
from sockwarden.document import Document
from sockwarden.health import HEALTH
from sockwarden.rules import Rule

MOST_NAMED = 10
"""Executables and sockets that the summary names."""
_IN_A_SENTENCE = 3
Busiest = Sequence[tuple[str | None, int]]
"""Values with how often they occur, the most frequent first; None where a document has none."""


def warning_of(rule: Rule, overflow: int) -> str:
    """What the run says of it."""
    return (
        f"{overflow:,} matches beyond max_signals ({rule.max_signals}) made no alerts: they are kept as overflow "
        f"(`sockwarden alerts list --overflow`), and one alert counts them"
    )


def summary_of(rule: Rule, window: Window, overflow: int, executables: Busiest, sockets: Busiest) -> Document:
    """The document of the summary, which `build` makes an alert; the same for the same rule and window.

    window: what the whole run looked at
    """
    identity = "\n".join(("overflow", rule.rule_id, str(window.start), str(window.end)))
    moment = f"{datetime.fromtimestamp(window.end / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    named = [f"{kind} {_sentence(busiest)}" for kind, busiest in (("by", executables), ("to", sockets)) if busiest]
    return {
        "_index": "sockwarden",
        "_id": hashlib.sha256(identity.encode()).hexdigest(),
        "_version": 1,
        "@timestamp": moment,
        "message": f"{overflow:,} more matches than the {rule.max_signals} alerts a run may make, {'; '.join(named)}",
        "event": {
            "kind": "event",
            "module": "sockwarden",
            "dataset": HEALTH,
            "category": ["intrusion_detection"],
            "type": ["info"],
            "action": "max-signals-exceeded",
        },
        "host": {"os": {"type": "linux"}},
        "sockwarden": {
            "overflow": {
                "count": overflow,
                "start": window.start,
                "end": window.end,
                "executables": _named(executables),
                "sockets": _named(sockets),
            }
        },
    }


def _named(busiest: Busiest) -> list[Document]:
    return [{"name": value or "unknown", "count": count} for value, count in busiest]


def _sentence(busiest: Busiest) -> str:
    return ", ".join(f"{value or 'unknown'} ({count:,})" for value, count in busiest[:_IN_A_SENTENCE])
