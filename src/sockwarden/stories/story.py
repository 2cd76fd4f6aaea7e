"""A story: what the store keeps of it, and screens show."""

from __future__ import annotations

from typing import Any

import msgspec

from sockwarden.alerts import Severity, socket_of
from sockwarden.document import Document, get, put
from sockwarden.stories.level import rank

MOST_ASKED = 200
MOST_SOCKETS = 16
MOST_NAMES = 8
MOST_ALERTS = 50
MOST_REASONS = 32
MOST_TEXT = 400
"""Characters of one text: others write them."""
_MOST_TOLD = 6
_MOST_WHY, _MOST_REASON = 12, 80
"""Reasons of one request, and characters of one."""
_MOST_SUMMARY = 600
_WHO = (
    "@timestamp",
    "host.name",
    "process.pid",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.parent.pid",
    "process.parent.executable",
    "user.id",
    "user.name",
    "user.audit.id",
    "user.audit.name",
    "auditd.session",
    "container.id",
    "container.name",
    "container.image.name",
    "sockwarden.actor.origin",
    "sockwarden.actor.component",
    "sockwarden.actor.verified",
    "sockwarden.actor.impersonates",
    "sockwarden.session.type",
    "sockwarden.session.via",
    "sockwarden.session.unit",
    "sockwarden.process.session",
    "sockwarden.process.ancestors",
)


class Asked(msgspec.Struct, omit_defaults=True):
    """A request, or several that were the same one after another.

    number    counts the entries of a story from 1
    time, last  of the first and of the last, ISO 8601
    risk      empty where nobody could tell
    status    of the answer; None where none was seen
    returned  the id that the answer gave
    access    `_id` of the first one's document
    count     how many
    """

    number: int
    time: str
    last: str
    operation: str
    object: str
    summary: str
    risk: str
    reasons: tuple[str, ...] = ()
    status: int | None = None
    outcome: str = ""
    returned: str = ""
    access: str = ""
    count: int = 1

    @property
    def weight(self) -> int:
        """Which of two is to be told where there is room for one; what is unknown counts as medium."""
        return rank(self.risk) if self.risk else 1

    def is_like(self, other: Asked) -> bool:
        """Whether another says the same."""
        return _same(self) == _same(other)


class Reached(msgspec.Struct, omit_defaults=True):
    """A socket, by what names it was given, and how often it was reached."""

    runtime: str
    address: str
    given: list[str] = []
    accesses: int = 0


class Alerted(msgspec.Struct, omit_defaults=True):
    """An alert of the story."""

    uuid: str
    severity: str
    rule: str


class Story(msgspec.Struct, omit_defaults=True):
    """What one actor did.

    kind      of the actor: container, session, component, process, or unknown
    began, last  time of the first and the last document, ISO 8601; first_ms, last_ms: the same since the epoch
    who       of the document that made the level what it is: process, lineage, user, container, in the document's names
    programs  all that took part, as far as there is room
    asked     in order; more: requests that found no room, the least risky ones
    failures  accesses and requests that failed
    """

    id: str
    kind: str
    began: str
    last: str
    first_ms: int
    last_ms: int
    level: Severity = "low"
    reasons: list[str] = []
    who: dict[str, Any] = {}
    programs: list[str] = []
    sockets: list[Reached] = []
    asked: list[Asked] = []
    more: int = 0
    accesses: int = 0
    requests: int = 0
    failures: int = 0
    alerts: list[Alerted] = []
    more_alerts: int = 0

    def reach(self, document: Document, accesses: int) -> None:
        """Notes who reached which socket, and by how many accesses: by none where something was asked over one."""
        _note(self.programs, program_of(document), MOST_NAMES)
        address, given = socket_of(document), get(document, "sockwarden.socket.address_as_given")
        runtime = _text(get(document, "sockwarden.socket.runtime"))
        found = next((one for one in self.sockets if (one.runtime, one.address) == (runtime, _text(address))), None)
        if found is None:
            if len(self.sockets) >= MOST_SOCKETS:
                return
            found = Reached(runtime, _text(address))
            self.sockets.append(found)
        found.accesses += accesses
        if given and given != address:
            _note(found.given, _text(given), MOST_NAMES)

    def ask(self, document: Document) -> bool:
        """Takes a request in; whether it is told in an entry of its own."""
        self.requests += 1
        asked = _asked(document, self.requests)
        if self.asked and self.asked[-1].is_like(asked):
            self.asked[-1].count += 1
            self.asked[-1].last = asked.last
            return False
        if len(self.asked) >= MOST_ASKED:
            self.more += 1
            # Who asks for harmless things until there is no room is still told with what is not.
            if asked.weight <= 0:
                return False
            least = min(range(len(self.asked)), key=lambda place: self.asked[place].weight)
            if self.asked[least].weight >= asked.weight:
                return False
            self.more += self.asked.pop(least).count - 1
        self.asked.append(asked)
        return True

    def alert(self, alert: Document) -> None:
        """Notes an alert, or that it was raised."""
        uuid, severity = str(get(alert, "kibana.alert.uuid")), str(get(alert, "kibana.alert.severity"))
        for known in self.alerts:
            if known.uuid == uuid:
                known.severity = severity
                return
        if len(self.alerts) >= MOST_ALERTS:
            self.more_alerts += 1
        else:
            self.alerts.append(Alerted(uuid, severity, _text(get(alert, "kibana.alert.rule.name"))))

    def because(self, reasons: tuple[str, ...]) -> None:
        """Adds reasons of its level."""
        for reason in reasons:
            _note(self.reasons, reason, MOST_REASONS)


def who_of(document: Document) -> Document:
    """What a story keeps of a document about who it was."""
    kept: Document = {}
    for field in _WHO:
        value = get(document, field)
        put(kept, field, value[:MOST_TEXT] if isinstance(value, str) else value)
    return kept


def program_of(document: Document) -> str:
    """A process by its program and pid."""
    program = get(document, "process.executable") or get(document, "process.name") or "unknown program"
    pid = get(document, "process.pid")
    return f"{str(program)[:MOST_TEXT]} {'?' if pid is None else pid}"


def summary_of(story: Story) -> str:
    """One sentence for a message: who asked whom for what, in order, the worst where there is no room for all."""
    who = story.who
    user = get(who, "user.name") or get(who, "user.id")
    head = program_of(who) + (f" by user {user}" if user is not None else "")
    container = get(who, "container.name") or get(who, "container.id")
    head += f" in container {container}" if container else ""
    names = ", ".join(dict.fromkeys(one.runtime or one.address for one in story.sockets)) or "an unknown socket"
    if not story.asked:
        return f"{head} reached {names}, {story.accesses:,} times" if story.accesses > 1 else f"{head} reached {names}"
    risky = [one for one in story.asked if one.risk != "low"] or story.asked
    worst = sorted(risky, key=lambda one: one.weight, reverse=True)[:_MOST_TOLD]
    told = "; ".join(_times(one) for one in sorted(worst, key=lambda one: one.number))
    left = len(story.asked) - len(worst)
    text = f"{head} asked {names}: {told}" + (f"; and {left:,} other things" if left else "")
    return text if len(text) <= _MOST_SUMMARY else text[: _MOST_SUMMARY - 1] + "…"


def _times(asked: Asked) -> str:
    return asked.summary + (f" \N{MULTIPLICATION SIGN}{asked.count:,}" if asked.count > 1 else "")


def _asked(document: Document, number: int) -> Asked:
    request = get(document, "sockwarden.request")
    request = request if isinstance(request, dict) else {}
    time, status = _text(document.get("@timestamp")), request.get("status")
    reasons = request.get("reasons")
    method = " ".join(_text(request.get(key)) for key in ("method", "path") if request.get(key))
    operation = _text(request.get("operation"))
    return Asked(
        number,
        time,
        time,
        operation,
        _text(request.get("object")),
        _text(request.get("summary")) or operation or _text(method) or "something that nobody could read",
        str(request.get("risk")) if rank(request.get("risk")) >= 0 else "",
        tuple(_text(each)[:_MOST_REASON] for each in reasons[:_MOST_WHY]) if isinstance(reasons, list) else (),
        status if isinstance(status, int) and not isinstance(status, bool) else None,
        _text(get(document, "event.outcome")),
        _first(request.get("returned_id")),
        _text(document.get("_id")),
    )


def _same(asked: Asked) -> tuple[object, ...]:
    return asked.operation, asked.object, asked.summary, asked.risk, asked.status, asked.outcome


def _note(among: list[str], text: str, most: int) -> None:
    if text not in among and len(among) < most:
        among.append(text)


def _first(value: object) -> str:
    """Of several ids the first."""
    return _text(value[0] if isinstance(value, list) and value else None if isinstance(value, list) else value)


def _text(value: object) -> str:
    return "" if value is None else str(value)[:MOST_TEXT]
