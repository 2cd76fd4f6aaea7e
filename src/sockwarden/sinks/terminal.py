"""Alerts on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from sockwarden.alerts import asked_of, socket_of
from sockwarden.document import Document, get
from sockwarden.sinks.access import access, made_by, program, remarks
from sockwarden.sinks.actor import actor
from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.fold import Folder, Group, is_building_block, more_like_it, time_of
from sockwarden.sinks.paint import COLOURS

_MOST_TITLE = 160
_WIDTH_OF_FILE = 80
_INDENT = 4


class Printer:
    """Prints a block for a group of alerts, a line with the date where it changes.

    stored: whether the alerts can be asked for later, so that the block may say how.
    """

    def __init__(self, console: Console, *, stored: bool = False) -> None:
        self._console = console
        self._stored = stored
        self._day = ""

    def show(self, group: Group) -> None:
        """Prints one group."""
        moment = datetime.fromtimestamp(group.first, UTC) if group.first is not None else None
        day = f"{moment:%Y-%m-%d} UTC" if moment else "at an unknown time"
        if day != self._day:
            self._day = day
            self.line(Text(f"── {day} ──", style="dim"))
        width = width_of(self._console)
        identity = str(get(group.alerts[0], "kibana.alert.uuid"))[:6]
        more = f"sockwarden alerts show {identity}" if self._stored else f"id {identity}"
        for line in block(group, width, more=more):
            self.line(line)
        self.line(Text())

    def line(self, line: Text) -> None:
        """Prints one line."""
        put(self._console, line)


class TerminalSink:
    """Prints the alerts of recorded logs, group by group.

    stored: whether the alerts can be asked for later, so that the block may say how.
    left_out: building blocks, which are not for people
    """

    def __init__(self, console: Console, *, stored: bool = False) -> None:
        self._printer = Printer(console, stored=stored)
        self._folder = Folder()
        self.left_out = 0

    def add(self, alert: Document) -> None:
        """Takes an alert; prints groups that are over."""
        if is_building_block(alert):
            self.left_out += 1
            return
        for group in self._folder.add(alert):
            self._printer.show(group)

    def close(self) -> None:
        """Prints the rest."""
        for group in self._folder.flush():
            self._printer.show(group)


def width_of(console: Console) -> int:
    """Columns to lay lines out for."""
    return console.width if console.is_terminal else _WIDTH_OF_FILE


def put(console: Console, line: Text) -> None:
    """Prints a line: on a terminal wrapped at words, with the rest set in; into a file or a pipe as it is."""
    if not console.is_terminal or line.cell_len <= console.width:
        console.print(line, soft_wrap=True)
        return
    first, *rest = line.wrap(console, max(console.width - _INDENT, 20))
    console.print(first, soft_wrap=True)
    for part in rest:
        console.print(Text(" " * _INDENT).append_text(part), soft_wrap=True)


def block(group: Group, width: int, *, more: str = "") -> list[Text]:
    """The lines of one group. more: how to see more of it, put at the end."""
    first = group.alerts[0]
    lines = [_headline(first, group.first, width)]
    lines += [_also(alert) for alert in group.alerts[1:]]
    took_in = max(group.alerts, key=lambda alert: get(alert, "kibana.alert.suppression.docs_count") or 0)
    like_it = [Text(f"  {told}", style="bold")] if (told := more_like_it(took_in)) else []
    if get(first, "sockwarden.health") is not None:
        return [*lines, *_health(first), *like_it, _foot(group, width, f"     {more}" if more else "")]
    lines.append(Text("  ").append(access(first)))
    if maker := made_by(first):
        lines.append(Text(escape(f"  connection made by {maker}")))
    if title := get(first, "process.command_line") or get(first, "process.title"):
        lines.append(Text("  " + shorten(escape(str(title)), _MOST_TITLE)))
    return [*lines, *actor(first, width), *like_it, _foot(group, width, f"     {more}" if more else "")]


def repeats(group: Group) -> Text:
    """The line that tells how often a group of one access, shown before, came again."""
    first = group.alerts[0]
    what = Text(escape(str(get(first, "message")))) if get(first, "sockwarden.health") is not None else access(first)
    return Text(f"  {_again(group)}  ", style="dim").append_text(what)


def _health(alert: Document) -> list[Text]:
    """What goes wrong with the watching itself."""
    detail = str(get(alert, "sockwarden.health.detail") or "")
    lines = [Text("  " + escape(str(get(alert, "message") or "")))]
    return lines + [Text("  " + escape(line)) for line in detail.splitlines()]


def _foot(group: Group, width: int, more: str) -> Text:
    """Techniques, with their names where there is room, repeats, and how to see more."""
    again = f"     {_again(group)}" if group.count > 1 else ""
    found = _techniques(group.alerts)
    techniques = " · ".join(f"{name} {number}" for number, name in found.items())
    if len(techniques + again + more) + 2 > width:
        techniques = " · ".join(found)
    return Text("  " + techniques, style="dim").append(again, style="bold not dim").append(more)


def _headline(alert: Document, moment: float | None, width: int) -> Text:
    severity = str(get(alert, "kibana.alert.severity"))
    line = Text().append(f"▲ {severity} {get(alert, 'kibana.alert.risk_score')}", style=COLOURS.get(severity, ""))
    line.append(f"  {escape(str(get(alert, 'kibana.alert.rule.name')))}", style="bold")
    time = f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S}" if moment is not None else ""
    line.append(" " * max(width - line.cell_len - len(time) - 1, 2) + time)
    return line


def _also(alert: Document) -> Text:
    severity = str(get(alert, "kibana.alert.severity"))
    line = Text("  also ", style="dim").append(f"{severity} {get(alert, 'kibana.alert.risk_score')}")
    return line.append(f"  {escape(str(get(alert, 'kibana.alert.rule.name')))}")


def _techniques(alerts: list[Document]) -> dict[str, str]:
    """ATT&CK techniques, number and name, each once."""
    found: dict[str, str] = {}
    for alert in alerts:
        threat: Any = get(alert, "kibana.alert.rule.threat")
        for entry in threat or ():
            for technique in entry.get("technique", ()):
                found.setdefault(escape(str(technique["id"])), escape(str(technique["name"])))
    return found


def _again(group: Group) -> str:
    """How many accesses, in what time, and how many of them have no alert of their own."""
    counted = f", {group.folded:,} of them counted only" if group.folded else ""
    return f"\N{MULTIPLICATION SIGN}{group.count:,}{_span(group)}{counted}"


def _span(group: Group) -> str:
    if group.first is None or group.last is None:
        return ""
    seconds = group.last - group.first
    return f" in {seconds:.0f} s" if seconds >= 1 else " within 1 s"


def one_line(alert: Document) -> tuple[str, ...]:
    """An alert for a table: id, time, severity, access, rule."""
    moment = time_of(alert)
    what = get(alert, "message")
    if get(alert, "sockwarden.health") is None:
        asked = asked_of(alert)
        what = f"{program(alert)} → {socket_of(alert) or '?'}{f': {asked}' if asked else ''}{remarks(alert)}"
    return (
        str(get(alert, "kibana.alert.uuid"))[:8],
        f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}" if moment is not None else "?",
        f"{get(alert, 'kibana.alert.severity')} {get(alert, 'kibana.alert.risk_score')}",
        escape(str(what)),
        escape(str(get(alert, "kibana.alert.rule.name"))),
    )
