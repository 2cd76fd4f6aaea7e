"""`sockwarden accesses`: every access that was seen, alert or not."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec
from rich.table import Table
from rich.text import Text

from sockwarden.alerts import asked_of, socket_of
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.document import Document, get
from sockwarden.settings import state_folder
from sockwarden.sinks import escape
from sockwarden.sinks.access import program, remarks
from sockwarden.sinks.fold import time_of
from sockwarden.store import Store

_state = click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")


@click.group()
def accesses() -> None:
    """Every access that `watch` saw, alert or not."""


@accesses.command("list")
@click.option("--runtime", metavar="NAME", help="To sockets of this runtime.")
@click.option(
    "--origin", type=click.Choice(["host", "container", "container-init", "unknown"]), help="By processes from there."
)
@click.option("--socket", metavar="ADDRESS", help="To the socket with this canonical address.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Whole documents as JSON, one a line.")
@_state
def list_(
    runtime: str | None, origin: str | None, socket: str | None, limit: int, as_json: bool, state: str | None
) -> None:
    """Accesses, the newest first."""
    table = Table("id", "time (UTC)", "outcome", "access", box=None, header_style="dim")
    for column in table.columns[:3]:
        column.no_wrap = True
    table.columns[3].overflow = "fold"
    with Store(state_folder(state), create=False) as store:
        count = store.count_accesses(runtime=runtime, origin=origin, socket=socket)
        for document in store.newest_accesses(limit, runtime=runtime, origin=origin, socket=socket):
            if as_json:
                write_line(msgspec.json.encode(document))
            else:
                table.add_row(*_cells(document))
    if not as_json:
        console().print(table if table.row_count else "no accesses")
    if count > limit:
        print_notes([f"{count - limit:,} more; --limit {count} shows all."])


@accesses.command()
@click.argument("identity", metavar="ID")
@_state
def show(identity: str, state: str | None) -> None:
    """One access as JSON; the first digits of the id suffice."""
    with Store(state_folder(state), create=False) as store:
        document = store.find_access(identity)
    write_line(msgspec.json.format(msgspec.json.encode(document)))


def _cells(document: Document) -> tuple[Text, ...]:
    origin = get(document, "container.name") or get(document, "sockwarden.actor.origin") or "unknown"
    moment = time_of(document)
    target = ("open " if get(document, "event.action") == "opened-file" else "") + (socket_of(document) or "?")
    asked = f": {asked}" if (asked := asked_of(document)) else ""
    cells = (
        str(document.get("_id"))[:8],
        f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}" if moment is not None else "?",
        str(get(document, "event.outcome") or "unknown"),
        f"{program(document)} {get(document, 'process.pid') or '?'} ({origin}) → {target}{asked}{remarks(document)}",
    )
    return tuple(Text(escape(cell)) for cell in cells)
