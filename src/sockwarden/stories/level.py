"""How bad a document is: by what was asked, where that is known, else by who did it."""

from __future__ import annotations

from typing import NamedTuple

from sockwarden.alerts import SEVERITIES, Severity
from sockwarden.document import Document, get

REQUEST = "sockwarden.request"
"""event.dataset of what was asked over a connection."""
_UNKNOWN = (None, "", "unknown", "unproven")


class Graded(NamedTuple):
    """A level and why, in words or short names."""

    level: Severity
    reasons: tuple[str, ...] = ()


def is_request(document: Document) -> bool:
    """Whether a document, or the one that an alert was made of, tells what was asked."""
    return bool(get(document, "event.dataset") == REQUEST)


def rank(level: object) -> int:
    """A level's place among the severities; -1 for what is none."""
    return SEVERITIES.index(level) if level in SEVERITIES else -1


def higher(level: object, than: object) -> bool:
    """Whether a level is above another."""
    return rank(level) > rank(than)


def by_request(document: Document) -> Graded:
    """By the risk of a request; one that nobody could read is as bad as who made it."""
    request = get(document, REQUEST)
    risk = request.get("risk") if isinstance(request, dict) else None
    found = Graded(risk, _texts(request.get("reasons"))) if risk in SEVERITIES and isinstance(request, dict) else None
    if found and get(document, f"{REQUEST}.operation") not in _UNKNOWN:
        return found
    actor = by_actor(document)
    return found if found and higher(found.level, actor.level) else actor


def by_actor(document: Document) -> Graded:
    """Of an access of which nothing is known but that it was made. One of which no connection came: a level less."""
    if get(document, "sockwarden.actor.verified") is True:
        return Graded("low")
    origin = get(document, "sockwarden.actor.origin")
    if component := get(document, "sockwarden.actor.impersonates"):
        found = Graded("high", (f"calls itself {str(component)[:40]}, not proven",))
    elif origin == "container":
        found = Graded("high", ("from inside a container",))
    elif origin in ("host", "container-init"):
        found = Graded("medium", ("a program that is no part of a runtime",))
    else:
        found = Graded("medium", ("nobody knows from where",))
    if get(document, "event.outcome") == "failure" or get(document, "event.action") == "opened-file":
        return Graded(SEVERITIES[rank(found.level) - 1], (*found.reasons, "no connection came of it"))
    return found


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(each)[:80] for each in value[:32]) if isinstance(value, list) else ()
