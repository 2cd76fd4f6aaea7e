"""What is done to every document of a live watch before it is judged: secrets taken out, a request graded."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sockwarden.auditrecords.record import decode, text
from sockwarden.document import Document, get
from sockwarden.pipeline.mounted import devices_of, places_of
from sockwarden.requests.grading import grade
from sockwarden.requests.redaction import redact_argv, redact_command_line, redact_joined
from sockwarden.sockets.inventory import Inventory

_PROCESSES = ("process", "process.parent", "process.entry_leader", "process.group_leader", "process.session_leader")
_TITLE = re.compile(r"(?<= proctitle=)(?:[0-9A-Fa-f]+|\"[^\"]*\")")
_MOST_KNOWN = 1024
"""Command lines that were redacted and are remembered: few programs make most accesses."""


def redact(document: Document) -> None:
    """Takes secrets out of command lines, in place: of processes, and of the audit records beside them."""
    for name in _PROCESSES:
        process = get(document, name)
        if not isinstance(process, dict):
            continue
        args = process.get("args")
        words = tuple(args) if isinstance(args, list) else ()
        if words:
            process["args"] = list(_argv(words))
        for field in ("command_line", "title"):
            if isinstance(line := process.get(field), str):
                process[field] = _line(words, line)
    records = get(document, "event.original")
    if isinstance(records, list):
        document["event"]["original"] = [
            _TITLE.sub(_title, each) if isinstance(each, str) and each.startswith("type=PROCTITLE ") else each
            for each in records
        ]


@lru_cache(_MOST_KNOWN)
def _argv(args: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(redact_argv(args))


@lru_cache(_MOST_KNOWN)
def _line(args: tuple[str, ...], line: str) -> str:
    return redact_joined(args, line) if args else redact_command_line(line)


def _title(found: re.Match[str]) -> str:
    """argv as a record has it, in hexadecimal where something was taken out."""
    raw = text(found[0].encode("ascii", "replace")) or b""
    words = tuple(decode(part) for part in raw.split(b"\0"))
    redacted = _argv(words)
    if redacted == words:
        return found[0]
    return "\0".join(redacted).encode("utf-8", "backslashreplace").hex().upper()


def grade_request(document: Document, inventory: Inventory) -> None:
    """Says how much a request exposes, by what it asks, what that is on this host, and who asks it."""
    ours: dict[str, Any] = document["sockwarden"]
    request = ours["request"]
    for part in filter(None, map(request.get, ("container", "volume", "build"))):
        if sources := part.get("mount_sources"):
            part["mount_sources"] = places_of(sources, inventory)
        if devices := part.get("devices"):
            part["devices"] = devices_of(devices)
    grade_of = grade(request, ours.get("actor", {}))
    request |= {"risk": grade_of.risk, "reasons": grade_of.reasons}
    request |= {name: told for name in ("texts", "techniques") if (told := getattr(grade_of, name))}
