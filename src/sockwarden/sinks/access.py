"""The lines of an alert that tell the access itself: who reached what, by which way, and what came of it."""

from __future__ import annotations

import errno
import os

from rich.text import Text

from sockwarden.alerts import asked_of, socket_of
from sockwarden.document import Document, get
from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.fold import counted_only

_ALIASES = {
    "relative": "a relative path",
    "dot-segments": "with dot segments",
    "proc": "through /proc",
    "symlink-or-mount": "a link or mount",
    "unknown": "unknown how",
}
_CAME_BY = {
    "held-connection": "connection held",
    "received-descriptor": "connection received",
    "duplicated-descriptor": "connection duplicated",
    "inherited-descriptor": "connection inherited",
}
"""By event.action: of connections that were there, to which nobody gave an address."""
_MOST_ASKED = 300
_ABIS = ("socketcall", "io_uring", "i386")


def access(alert: Document) -> Text:
    """Who reached what, and by what name or in what other way."""
    line = Text(escape(program(alert)), style="bold")
    if not _is_unheld(alert):
        line.append(f" {_or_unknown(alert, 'process.pid')}")
    line.append(" → ")
    line.append("open " if get(alert, "event.action") == "opened-file" else "")
    canonical, given = get(alert, "sockwarden.socket.canonical"), get(alert, "sockwarden.socket.address_as_given")
    runtime = get(alert, "sockwarden.socket.runtime")
    line.append(f"{escape(str(runtime))} " if runtime else "")
    line.append(escape(socket_of(alert) or "unknown address"), style="bold")
    if given and canonical and given != canonical:
        alias = _ALIASES.get(str(get(alert, "sockwarden.socket.alias")), "")
        line.append(f", given as {escape(str(given))}" + (f" ({alias})" if alias else ""))
    if get(alert, "sockwarden.socket.ambiguous"):
        line.append(", or another: ambiguous", style="yellow")
    way = str(get(alert, "sockwarden.sensor.abi") or get(alert, "sockwarden.sensor.hook") or "")
    line.append(f", by {escape(way)}" if way in _ABIS or way.startswith("x32") else "")
    if came := came_by(alert):
        line.append(f", {came}")
    if asked := asked_of(alert):
        line.append(": ").append(shorten(escape(asked), _MOST_ASKED), style="bold")
    return line.append(_outcome(alert), style="dim")


def program(document: Document) -> str:
    """The program, or what else is known of who it was."""
    if _is_unheld(document):
        return "nobody to be found"
    return str(get(document, "process.executable") or get(document, "process.name") or "unknown program")


def came_by(document: Document) -> str:
    """How a process came by a connection that somebody had made; empty where it connected or opened itself."""
    came = _CAME_BY.get(str(get(document, "event.action")), "")
    if came and get(document, "event.action") == "inherited-descriptor" and _is_own(document):
        return "connection kept over an exec"
    if came and get(document, "sockwarden.connection.accepted") is False:
        return f"{came}, not accepted yet"
    return came


def made_by(document: Document) -> str:
    """Who had made the connection, and when, as far as that is known; empty where nobody had, or where
    `came_by` says it.
    """
    if not came_by(document):
        return ""
    pid, when = (get(document, f"sockwarden.connection.connector.{field}") for field in ("pid", "time"))
    named = get(document, "sockwarden.connection.connector.executable")
    if pid is None:
        return "an unknown process"
    if _is_own(document):
        if get(document, "event.action") == "inherited-descriptor" and not (named or when):
            return ""
        # Its name is that of now; only a program that is told was told of then.
        who = "the same process" + (f", as {named}" if named else "")
    else:
        who = f"{named or get(document, 'sockwarden.connection.connector.name') or 'process'} {pid}"
    return f"{who} at {str(when).replace('T', ' ')[:19]}" if when else who


def remarks(document: Document) -> str:
    """What a table says of an access behind its socket: how the process came by it, why it failed, how many there were;
    with a comma before each.
    """
    return "".join(f", {remark}" for remark in (came_by(document), failure(document), counted_only(document)) if remark)


def failure(document: Document) -> str:
    """Why an access failed, in the system's words; empty where it did not, or nothing says why."""
    if get(document, "event.outcome") != "failure":
        return ""
    number = getattr(errno, str(get(document, "error.code")), None)
    try:
        return os.strerror(number if isinstance(number, int) else -int(str(get(document, "auditd.data.exit"))))
    except (ValueError, OverflowError):
        return ""


def _outcome(alert: Document) -> str:
    outcome = get(alert, "event.outcome")
    if outcome != "failure":
        return "" if outcome == "success" else "  outcome unknown"
    why = failure(alert)
    return f"  failed: {why}" if why else "  failed"


def _is_unheld(document: Document) -> bool:
    return bool(get(document, "sockwarden.connection.holder_unseen"))


def _is_own(document: Document) -> bool:
    pid = get(document, "process.pid")
    return pid is not None and pid == get(document, "sockwarden.connection.connector.pid")


def _or_unknown(alert: Document, field: str) -> str:
    value = get(alert, field)
    return "?" if value is None else escape(str(value))
