"""`sockwarden rules runs`."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec
from rich.table import Column, Table
from rich.text import Text

from sockwarden.cli.detections import Known, find
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.errors import UsageError
from sockwarden.pipeline.scheduled.runner import moment
from sockwarden.rules import Rule
from sockwarden.settings import state_folder
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put
from sockwarden.store import Gap, Run, Store

_COLUMNS = ("started (UTC)", "rule", "status", "alerts", "overflow", "windows", "candidates")
_NARROW = 5
"""Columns of these that fit where others would leave no room for the rule's name."""
_WIDE = 130
_MOST_GAPS = 20
_STYLES = {"partial": "yellow", "failed": "bold red"}


@click.command()
@click.argument("selector", metavar="[NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Runs, then gaps, as JSON objects, one a line.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")
def runs(selector: str | None, as_json: bool, limit: int, state: str | None) -> None:
    """What the scheduled engine did: its runs, the newest first, and what nobody has looked at."""
    rule = rule_named(selector) if selector else None
    rule_id = rule.rule_id if rule else None
    with Store(state_folder(state), create=False) as store:
        found, count = store.runs.newest(limit, rule_id), store.runs.count(rule_id)
        gaps = store.runs.gaps(rule_id)
    if as_json:
        for one in found:
            write_line(msgspec.json.encode({"kind": "run", **msgspec.to_builtins(one)}))
        for gap in gaps:
            write_line(msgspec.json.encode({"kind": "gap", **msgspec.to_builtins(gap)}))
        return
    _show(found, gaps)
    if count > limit:
        print_notes([f"{count - limit:,} more runs; --limit {count} shows all."])


def rule_named(selector: str, known: Known | None = None) -> Rule:
    """The one query rule of that name. UsageError where it names none, or a signature."""
    for one in find(selector, known):
        if isinstance(one, Rule):
            return one
    raise UsageError(
        f"{selector[:80]} is a signature, which judges each document when it comes",
        todo="Name a query rule; see `sockwarden rules list`.",
    )


def _show(found: Sequence[Run], gaps: Sequence[Gap]) -> None:
    out = console()
    if not found:
        out.print("no runs")
    else:
        shown = len(_COLUMNS) if out.width >= _WIDE else _NARROW
        columns = (
            Column(name, justify="right" if name in _COLUMNS[3:] else "left", no_wrap=name != "rule")
            for name in _COLUMNS[:shown]
        )
        table = Table(*columns, box=None, header_style="dim", pad_edge=False)
        for run in found:
            table.add_row(*_cells(run)[:shown])
        out.print(table)
    _show_told(found)
    _show_gaps({run.rule_id: run.rule_name for run in found}, gaps)


def _show_told(found: Sequence[Run]) -> None:
    """What the runs of each rule warn of and failed by; what several say, once, with when it was said last."""
    told: dict[str, dict[str, list[Run]]] = {}
    for run in found:
        for text in (run.error, *run.warnings):
            if text:
                told.setdefault(run.rule_name, {}).setdefault(text, []).append(run)
    out = console()
    for name, texts in told.items():
        out.print(Text("\n" + escape(name), style="bold"))
        for text, runs in texts.items():
            first, *rest = text.split("\n")
            times = f" ({len(runs)} runs)" if len(runs) > 1 else ""
            put(out, Text(f"  {moment(runs[0].started)}{times}  ", style="dim").append(escape(first), style="not dim"))
            for line in rest:
                put(out, Text("    " + escape(line)))


def _show_gaps(names: dict[str, str], gaps: Sequence[Gap]) -> None:
    if not gaps:
        return
    out = console()
    out.print(Text("\nnobody looked at:", style="bold"))
    for gap in gaps[-_MOST_GAPS:]:
        name = names.get(gap.rule_id, gap.rule_id)
        put(out, Text(escape(f"  {moment(gap.start)} to {moment(gap.end)}  {name}")))
    if len(gaps) > _MOST_GAPS:
        out.print(f"  and {len(gaps) - _MOST_GAPS:,} older; --json lists all")
    for rule_id in dict.fromkeys(gap.rule_id for gap in gaps):
        put(out, Text(f"to fill: sockwarden rules preview {escape(rule_id)} --from PLACE --fill", style="dim"))


def _cells(run: Run) -> tuple[Text, ...]:
    status = run.status + (" by hand" if run.type == "manual" else "")
    return (
        Text(moment(run.started)),
        Text(escape(run.rule_name)),
        Text(status, style=_STYLES.get(run.status, "")),
        *(Text(f"{count:,}") for count in (run.alerts, run.overflow, len(run.windows), run.candidates)),
    )
