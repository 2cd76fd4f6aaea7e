"""The narrowest exception that an alert's evidence gives: exact values of what an attacker cannot choose freely."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from sockwarden.document import Document, get, values
from sockwarden.errors import UsageError
from sockwarden.rules.schema import shorten

FIELDS = (
    "process.executable",
    "user.id",
    "process.parent.executable",
    "destination.address",
    "container.image.name",
    "host.name",
)
"""Never a process's name alone or its arguments: whoever starts it chooses these."""


def suggest(alert: Document, expire_time: str | None = None) -> dict[str, Any]:
    """An exception item, in the names of its file, that the alert's document matches. UsageError when the alert does
    not tell the program by its whole path: what is left would silence too much.
    """
    entries = []
    for field in FIELDS:
        seen = list(values(alert, field))
        if len(seen) == 1 and isinstance(seen[0], str | int) and not isinstance(seen[0], bool) and str(seen[0]):
            entries.append({"field": field, "operator": "included", "type": "match", "value": str(seen[0])})
    program = next((entry["value"] for entry in entries if entry["field"] == "process.executable"), "")
    if not program.startswith("/"):
        raise UsageError(
            "no exception can be made from this alert",
            why="It does not tell the program by its whole path, and without that an exception would be too wide.",
            todo="Write an exception yourself, into exceptions/ of the rules folder.",
        )
    uuid = str(get(alert, "kibana.alert.uuid"))
    item: dict[str, Any] = {
        "item_id": hashlib.sha256(msgspec.json.encode(entries)).hexdigest()[:32],
        "name": f"{shorten(program)} (alert {uuid[:12]})",
        "description": f"Made from the alert {uuid}.",
        "type": "simple",
        "tags": ["sockwarden: alerts except"],
    }
    if expire_time:
        item["expire_time"] = expire_time
    return {**item, "entries": entries}
