"""`sockwarden alerts`: what was found and kept."""

from __future__ import annotations

import click
import msgspec
from rich.table import Table
from rich.text import Text

from sockwarden.alerts import SEVERITIES
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.document import get
from sockwarden.settings import state_folder
from sockwarden.sinks import Group, block, escape, one_line
from sockwarden.sinks.fold import time_of
from sockwarden.store import Store

_state = click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")
_json = click.option("--json", "as_json", is_flag=True, help="Whole alerts as JSON, one a line.")

_WIDE = 130
"""Columns from which a list has room for the rule's name."""


@click.group()
def alerts() -> None:
    """Alerts that `hunt --store` kept."""


@alerts.command("list")
@click.option("--severity", type=click.Choice(SEVERITIES), help="This severity and above.")
@click.option("--rule", metavar="NAME", help="Of the rule with this name or id.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@_state
@_json
def list_(severity: str | None, rule: str | None, limit: int, state: str | None, as_json: bool) -> None:
    """Alerts, the newest first."""
    severities = SEVERITIES[SEVERITIES.index(severity) :] if severity else SEVERITIES
    out = console()
    with Store(state_folder(state), create=False) as store:
        count = store.count(severities=severities, rule=rule)
        table = Table("id", "time (UTC)", "severity", "access", "rule", box=None, header_style="dim")
        for column in table.columns[:3]:
            column.no_wrap = True
        table.columns[3].overflow = "fold"
        table.columns[4].no_wrap = True
        if out.width < _WIDE:
            table.columns.pop()
        for alert in store.newest(limit, severities=severities, rule=rule):
            if as_json:
                write_line(msgspec.json.encode(alert))
            else:
                table.add_row(*map(Text, one_line(alert)[: len(table.columns)]))
    if not as_json:
        out.print(table if table.row_count else "no alerts")
    if count > limit:
        print_notes([f"{count - limit:,} more; --limit {count} shows all."])


@alerts.command()
@click.argument("identity", metavar="ID")
@_state
@_json
def show(identity: str, state: str | None, as_json: bool) -> None:
    """One alert with its evidence; the first digits of the id suffice."""
    with Store(state_folder(state), create=False) as store:
        alert = store.find(identity)
    if as_json:
        write_line(msgspec.json.encode(alert))
        return
    out = console()
    moment = time_of(alert)
    for line in block(Group([alert], 1, moment, moment), out.width, stored=True):
        out.print(line, soft_wrap=True)
    out.print()
    facts = (
        ("time", get(alert, "@timestamp")),
        ("id", get(alert, "kibana.alert.uuid")),
        ("reason", get(alert, "kibana.alert.reason")),
        ("matched by", {"given": "the address as given", "canonical": "the canonical address"}.get(
            str(get(alert, "sockwarden.alert.view")), "either address"
        ) if get(alert, "sockwarden.alert.view") else None),
        ("directory", get(alert, "process.working_directory")),
        ("inode", _inode(alert)),
        ("sensor", get(alert, "sockwarden.sensor.name")),
        ("serial", get(alert, "event.sequence")),
    )  # fmt: skip
    for label, value in facts:
        if value is not None:
            out.print(Text(f"  {label:<12}", style="dim").append(escape(str(value))), soft_wrap=True)
    original = get(alert, "event.original")
    out.print(Text("\n  evidence", style="dim"))
    for record in original if isinstance(original, list) else [original] if original else []:
        out.print(Text("  " + escape(str(record))), soft_wrap=True)
    out.print(Text(f"\n  what to do: sockwarden rules show {get(alert, 'kibana.alert.rule.rule_id')}", style="dim"))


def _inode(alert: dict[str, object]) -> str | None:
    inode, device = get(alert, "sockwarden.socket.inode"), get(alert, "sockwarden.socket.device")
    return None if inode is None else f"{inode} on device {device}"
