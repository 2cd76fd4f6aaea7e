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
    "sockwarden.actor.origin",
    "container.image.name",
    "host.name",
)
"""Never a process's name alone or its arguments: whoever starts it chooses these."""


def suggest(alert: Document, expire_time: str | None = None) -> dict[str, Any]:
    """An exception item, in the names of its file, that the alert's document matches. UsageError when the alert does
    not tell the program by its whole path: what is left would silence too much.
    """
    entries: list[dict[str, Any]] = []
    for field in FIELDS:
        # Each of several values, the aliases of a socket say: what is left out would make the exception wider.
        entries += [
            {"field": field, "operator": "included", "type": "match", "value": str(value)}
            for value in dict.fromkeys(values(alert, field))
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value)
        ]
    if not any(True for _ in values(alert, "container.id")):  # the same program within a container is another
        entries.append({"field": "container.id", "operator": "excluded", "type": "exists"})
    program = next((str(entry["value"]) for entry in entries if entry["field"] == "process.executable"), "")
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
