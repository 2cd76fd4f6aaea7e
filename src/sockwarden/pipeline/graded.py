"""What is done to every document of a live watch before it is judged: secrets taken out, a request graded."""

from __future__ import annotations

from typing import Any

from sockwarden.document import Document, get
from sockwarden.pipeline.mounted import places_of
from sockwarden.requests.grading import grade
from sockwarden.requests.redaction import redact_argv, redact_command_line
from sockwarden.sockets import Inventory

_PROCESSES = ("process", "process.parent", "process.entry_leader", "process.group_leader", "process.session_leader")


def redact(document: Document) -> None:
    """Takes secrets out of command lines, in place."""
    for name in _PROCESSES:
        process = get(document, name)
        if not isinstance(process, dict):
            continue
        if isinstance(args := process.get("args"), list):
            process["args"] = redact_argv(args)
        for field in ("command_line", "title"):
            if isinstance(line := process.get(field), str):
                process[field] = redact_command_line(line)


def grade_request(document: Document, inventory: Inventory) -> None:
    """Says how much a request exposes, by what it asks, what that is on this host, and who asks it."""
    ours: dict[str, Any] = document["sockwarden"]
    request = ours["request"]
    container = request.get("container")
    if container and (sources := container.get("mount_sources")):
        container["mount_sources"] = places_of(sources, inventory)
    grade_of = grade(request, ours.get("actor", {}))
    request |= {"risk": grade_of.risk, "reasons": grade_of.reasons}
    if grade_of.techniques:
        request["techniques"] = grade_of.techniques
