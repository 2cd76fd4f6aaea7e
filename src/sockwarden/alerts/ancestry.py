"""Where an alert comes from: a document, or another alert, of which it is the child."""

from __future__ import annotations

from typing import Any

from sockwarden.document import Document, get

_MOST_ANCESTORS = 100
_MOST_DEPTH = 1000
_KEYS = ("id", "index", "type", "depth", "rule")
_EVENT = frozenset(
    [
        "action",
        "agent_id_status",
        "category",
        "code",
        "created",
        "dataset",
        "duration",
        "end",
        "hash",
        "id",
        "ingested",
        "kind",
        "module",
        "outcome",
        "provider",
        "reason",
        "reference",
        "risk_score",
        "risk_score_norm",
        "sequence",
        "severity",
        "start",
        "timezone",
        "type",
        "url",
    ]
)
"""ECS's event.*, less `original`, which the alert carries in its place."""


def ancestry_of(document: Document) -> tuple[int, list[dict[str, Any]]]:
    """The alert's depth and ancestors: 1 above an event; one more than that of an alert, whose ancestors go before."""
    parent: dict[str, Any] = {"id": _text(document.get("_id")), "index": _text(document.get("_index"))}
    above = get(document, "kibana.alert") if "kibana" in document else None
    if not isinstance(above, dict) or not above.get("uuid"):
        return 1, [{**parent, "type": "event", "depth": 0}]
    given = above.get("depth")
    depth = min(max(given, 1), _MOST_DEPTH) if isinstance(given, int) and not isinstance(given, bool) else 1
    parent |= {"type": "signal", "depth": depth}
    if parent["id"] is None:
        parent["id"] = _text(above["uuid"])
    rule = get(above, "rule.uuid") or get(above, "rule.rule_id")
    if isinstance(rule, str):
        parent["rule"] = rule
    return depth + 1, [*_earlier(above.get("ancestors")), parent]


def _text(value: object) -> str | None:
    """An id as the alert's uuid takes it: what is no text by its form."""
    return value if value is None or isinstance(value, str) else str(value)


def original_event_of(document: Document) -> dict[str, Any]:
    """The document's `event`, as it was before it became an alert's."""
    event = document.get("event")
    return {key: value for key, value in event.items() if key in _EVENT} if isinstance(event, dict) else {}


def _earlier(ancestors: object) -> list[dict[str, Any]]:
    """The parent's ancestors, of what others may have written what has their form; the nearest where it is too many."""
    listed = ancestors if isinstance(ancestors, list) else [ancestors]
    entries = [entry for entry in listed if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    return [{key: entry[key] for key in _KEYS if _plain(entry.get(key), key)} for entry in entries[-_MOST_ANCESTORS:]]


def _plain(value: object, key: str) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) if key == "depth" else isinstance(value, str)
