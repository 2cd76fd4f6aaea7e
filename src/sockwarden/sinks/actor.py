"""The lines of an alert that tell who was behind an access, and how they got there."""

from __future__ import annotations

import os
from typing import Any

from rich.text import Text

from sockwarden.document import Document, get
from sockwarden.sinks.escape import escape, shorten

_MOST_LINKS = 3
_MOST_NAME = 40
_ARROW = "  ←  "


def actor(alert: Document, width: int) -> list[Text]:
    """The user, the login behind it, the container; then the lineage, nearest first: on the same line where it fits,
    or is no more than a pid.
    """
    name, number = get(alert, "user.name"), get(alert, "user.id")
    user = _text(name) if name else "root" if number == "0" else f"uid {'?' if number is None else _text(number)}"
    line = Text(f"  {user}")
    if component := get(alert, "sockwarden.actor.impersonates"):
        line.append(", ").append(f"calls itself {_text(component)}, not proven", style="yellow")
    host = get(alert, "host.name")
    # Of the machine that it is shown on everybody knows the name.
    elsewhere = _prefixed("host", host) if host != os.uname().nodename else ""
    for part in (_session(alert), _place(alert), elsewhere):
        line.append(f", {part}" if part else "")
    links, more = _lineage(alert)
    behind = "".join(_ARROW + link for link in links) + (f"{_ARROW}…" if more else "")
    if all(map(str.isdigit, links)) or line.cell_len + Text(behind).cell_len <= width:
        return [line.append(behind)]
    return [line, _fitting(links, more, width)]


def _session(alert: Document) -> str:
    """The login or service: audit's number and user, what a live sensor saw of the way in."""
    number = get(alert, "auditd.session") or get(alert, "sockwarden.process.session")
    login = get(alert, "user.audit.name") or get(alert, "user.audit.id")
    kind, via, unit = (get(alert, f"sockwarden.session.{field}") for field in ("type", "via", "unit"))
    words = []
    if kind == "service":
        words.append((f"service {_text(unit)}" if unit else "a service") + ("," if number else ""))
    elif kind:
        words.append(_text(kind))
    if number:
        words.append(f"session {_text(number)}" + (f" of {_text(login)}" if login else ""))
    elif kind and kind != "service":
        words.append("session")
    if via:
        words.append(f"via {_text(via)}")
    return " ".join(words)


def _place(alert: Document) -> str:
    """The container, and how sure that is."""
    origin = get(alert, "sockwarden.actor.origin")
    image = get(alert, "container.image.name")
    container = get(alert, "container.name") or get(alert, "container.id")
    if not container:
        return {"container-init": "a container being started", "unknown": "host or container unknown"}.get(
            str(origin), ""
        )
    told = f"container {_text(container)[:_MOST_NAME]}" + (f" ({_text(image)})" if image else "")
    return told + {"container-init": ", being started", "unknown": ", not certain"}.get(str(origin), "")


def _lineage(alert: Document) -> tuple[list[str], bool]:
    """The parent and its ancestors, nearest first; whether there are more."""
    parent, above = get(alert, "process.parent"), get(alert, "sockwarden.process.ancestors")
    line = [each for each in above if isinstance(each, dict)] if isinstance(above, list) else []
    if isinstance(parent, dict) and not (line and get(line[0], "pid") == get(parent, "pid")):
        line.insert(0, parent)
    links = [_link(each) for each in line if get(each, "pid") is not None]
    return links[:_MOST_LINKS], len(links) > _MOST_LINKS


def _link(process: dict[str, Any]) -> str:
    executable = get(process, "executable")
    pid = _text(get(process, "pid"))
    return f"{shorten(_text(executable), _MOST_NAME)} {pid}" if executable else pid


def _fitting(links: list[str], more: bool, width: int) -> Text:
    """A line of its own with as much of the lineage as fits."""
    line = Text(f"{_ARROW}{links[0]}")
    for place, link in enumerate(links[1:], 2):
        rest = Text(f"{_ARROW}…" if more or place < len(links) else "")
        if line.cell_len + Text(_ARROW + link).cell_len + rest.cell_len > width:
            return line.append(f"{_ARROW}…")
        line.append(_ARROW + link)
    return line.append(f"{_ARROW}…" if more else "")


def _prefixed(word: str, value: Any) -> str:
    return f"{word} {_text(value)}" if value else ""


def _text(value: Any) -> str:
    return escape(str(value))
