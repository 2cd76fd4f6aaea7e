"""`sockwarden alerts`: what was found and kept."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from typing import Literal

import click
import msgspec
from rich.table import Table
from rich.text import Text

from sockwarden.alerts import RAISED_FROM, SEVERITIES
from sockwarden.cli.alerts_except import except_
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.document import Document, get
from sockwarden.settings import state_folder
from sockwarden.sinks import escape
from sockwarden.sinks.fold import begun, time_of
from sockwarden.sinks.terminal import block, one_line, put
from sockwarden.store import WORKFLOW, Kind, Store, Workflow

_state = click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")
_json = click.option("--json", "as_json", is_flag=True, help="Whole alerts as JSON, one a line.")

_identities = click.argument("identities", metavar="ID...", nargs=-1, required=True)
_NOT_CLOSED: tuple[Workflow, ...] = ("open", "acknowledged")
_WIDE = 130
"""Columns from which a list has room for the rule's name."""


@click.group()
def alerts() -> None:
    """Alerts that `watch`, `run` and `hunt --store` kept."""


alerts.add_command(except_)


@alerts.command("list")
@click.option("--severity", type=click.Choice(SEVERITIES), help="This severity and above.")
@click.option("--rule", metavar="NAME", help="Of the rule with this name or id.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--overflow", is_flag=True, help="Instead, matches beyond a rule's max_signals, which made no alerts.")
@click.option(
    "--status", type=click.Choice([*WORKFLOW, "all"]), help="How far a person is with them.  [default: not closed]"
)
@click.option("--building-blocks", is_flag=True, help="Instead, alerts that are only for other rules to look at.")
@_state
@_json
def list_(
    severity: str | None,
    rule: str | None,
    limit: int,
    overflow: bool,
    building_blocks: bool,
    status: Workflow | Literal["all"] | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Alerts, the newest first."""
    kind: Kind = "overflow" if overflow else "building_block" if building_blocks else "alert"
    statuses = _NOT_CLOSED if status is None else WORKFLOW if status == "all" else (status,)
    severities = SEVERITIES[SEVERITIES.index(severity) :] if severity else SEVERITIES
    out = console()
    with Store(state_folder(state), create=False) as store:
        count = store.count(severities=severities, rule=rule, kind=kind, statuses=statuses)
        table = Table("id", "time (UTC)", "severity", "access", "rule", box=None, header_style="dim")
        for column in table.columns[:3]:
            column.no_wrap = True
        table.columns[3].overflow = "fold"
        wide = out.width >= _WIDE
        if not wide:
            table.columns.pop()
        for alert in store.newest(limit, severities=severities, rule=rule, kind=kind, statuses=statuses):
            if as_json:
                write_line(msgspec.json.encode(alert))
                continue
            *cells, access, name = map(Text, one_line(alert))
            table.add_row(*cells, *((access, name) if wide else (access.append("\n").append(name.plain, style="dim"),)))
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
    for line in block(begun([alert], moment), out.width):
        put(out, line)
    put(out, Text())
    for label, value in _facts(alert):
        if value is not None:
            put(out, Text(f"  {label:<12}", style="dim").append(escape(str(value)), style="not dim"))
    original = get(alert, "event.original")
    if original:
        put(out, Text("\n  evidence", style="dim"))
    for record in original if isinstance(original, list) else [original] if original else []:
        put(out, Text("  " + escape(str(record))))
    put(out, Text(f"\n  what to do: sockwarden rules show {get(alert, 'kibana.alert.rule.rule_id')}", style="dim"))


@alerts.command()
@_identities
@_state
def acknowledge(identities: tuple[str, ...], state: str | None) -> None:
    """Note that somebody looks at alerts."""
    _answer(identities, "acknowledged", state)


@alerts.command()
@_identities
@_state
def close(identities: tuple[str, ...], state: str | None) -> None:
    """Note that nothing is left to do. A closed alert takes no further matches in, but for those of the next moment
    while a watch runs.
    """
    _answer(identities, "closed", state)


@alerts.command("open")
@_identities
@_state
def open_(identities: tuple[str, ...], state: str | None) -> None:
    """Note that alerts wait for somebody, again."""
    _answer(identities, "open", state)


def _answer(identities: tuple[str, ...], status: Workflow, state: str | None) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with Store(state_folder(state), create=False) as store:
        done = store.answer(identities, status, user=_user(), at=now)
    console().print(f"{len(done):,} alert{'' if len(done) == 1 else 's'} {status}")


def _user() -> str:
    """Who asks, by the user id and not by the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _facts(alert: Document) -> list[tuple[str, object]]:
    views = {"given": "the address as given", "canonical": "the canonical address", "both": "either address"}
    inode, device = get(alert, "sockwarden.socket.inode"), get(alert, "sockwarden.socket.device")
    made = get(alert, "@timestamp")
    original = get(alert, "kibana.alert.original_time") or made
    is_block = get(alert, "kibana.alert.building_block_type") is not None
    return [
        ("time", original),
        ("made", made if made != original else None),
        ("id", get(alert, "kibana.alert.uuid")),
        ("reason", get(alert, "kibana.alert.reason")),
        ("status", _status(alert)),
        ("raised", _raised(alert)),
        ("story", _story(alert)),
        ("took in", _took_in(alert)),
        ("kind", "building block: for other rules to look at, not listed" if is_block else None),
        ("matched by", views.get(str(get(alert, "sockwarden.alert.view")))),
        ("directory", get(alert, "process.working_directory")),
        ("inode", None if inode is None else f"{inode} on device {device}"),
        ("listener", _listener(alert)),
        ("connection", _connection(alert)),
        ("sensor", _sensor(alert)),
        ("serial", get(alert, "event.sequence")),
    ]


def _raised(alert: Document) -> str | None:
    before = get(alert, RAISED_FROM)
    return f"from {before}, by what was asked over the connection" if before else None


def _story(alert: Document) -> str | None:
    identity = get(alert, "sockwarden.story.id")
    return f"sockwarden stories show {str(identity)[:8]}" if identity else None


def _listener(alert: Document) -> str | None:
    executable, pid, inode = (
        get(alert, f"sockwarden.socket.listener.{field}") for field in ("executable", "pid", "inode")
    )
    told = [str(value) for value in (executable, pid) if value is not None]
    return " ".join(told + ([f"by socket {inode}"] if inode else [])) or None


def _connection(alert: Document) -> str | None:
    inode, descriptor = (get(alert, f"sockwarden.connection.{field}") for field in ("inode", "descriptor"))
    if inode is None:
        return None
    return f"socket {inode}" + ("" if descriptor is None else f", descriptor {descriptor}")


def _sensor(alert: Document) -> str | None:
    told = [get(alert, f"sockwarden.sensor.{field}") for field in ("name", "hook", "abi")]
    return ", ".join(str(each) for each in told if each) or None


def _status(alert: Document) -> str:
    status, user = get(alert, "kibana.alert.workflow_status"), get(alert, "kibana.alert.workflow_user")
    by = f" by {user}, {get(alert, 'kibana.alert.workflow_status_updated_at')}" if user else ""
    return f"{status or 'open'}{by}"


def _took_in(alert: Document) -> str | None:
    count = get(alert, "kibana.alert.suppression.docs_count")
    return f"{count:,} more until {get(alert, 'kibana.alert.suppression.end')}" if count else None
