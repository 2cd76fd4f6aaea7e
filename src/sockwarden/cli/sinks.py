"""`sockwarden sinks`: where alerts go, and whether they get there."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from sockwarden.alerts import Detector, build
from sockwarden.cli.output import console, write_line
from sockwarden.cli.receivers import Receiver, receivers_of
from sockwarden.cli.sinks_of import index_receivers
from sockwarden.document import Document, encode, put
from sockwarden.errors import UsageError
from sockwarden.settings import Config, state_folder
from sockwarden.settings.load import load_config
from sockwarden.sinks import Sink, escape
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.index import alerts_index, item
from sockwarden.sinks.journald import JournaldSink
from sockwarden.sinks.lines import whole
from sockwarden.sinks.spool import Entry, totals_of
from sockwarden.sinks.spooled import spool_path
from sockwarden.sinks.terminal import put as put_line

_config = click.option("--config", "file", metavar="FILE", help="Settings; else /etc/sockwarden/config.toml, if there.")
_DETECTOR = Detector("sockwarden-test", "Test of sockwarden's sinks", "low", 0, "1", [], {})
_SAYS = "This is a test, sent by `sockwarden sinks test`: nothing happened."


class Row(msgspec.Struct, omit_defaults=True):
    """One sink for `sinks list`. Counts are of its spool, since that began."""

    name: str
    kind: str
    target: str
    form: str
    min_severity: str = "low"
    waiting: int | None = None
    dropped: int | None = None
    delivered: int | None = None
    spool: str = ""


@click.group()
def sinks() -> None:
    """Where `watch` and `run` send alerts, as the settings say."""


@sinks.command("list")
@_config
@click.option("--state", metavar="DIR", help="The state folder, where the spools are.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one sink a line.")
def list_(file: str | None, state: str | None, as_json: bool) -> None:
    """Every sink with its target, and what waits for a receiver that is away."""
    config = load_config(Path(file) if file else None)
    folder = state_folder(state or config.watch.state)
    rows = list(_rows(config, folder))
    if as_json:
        for row in rows:
            write_line(msgspec.json.encode(row))
        return
    table = Table("sink", "target", "form", "from", "waiting", "dropped", "delivered", box=None, header_style="dim")
    for column in table.columns[4:]:
        column.justify = "right"
    for row in rows:
        counts = [f"{count:,}" if count is not None else "?" for count in (row.waiting, row.dropped, row.delivered)]
        target = Text(escape(row.target), overflow="fold")
        if row.spool:
            target.append(f"\n{escape(row.spool)}", style="yellow")
        shown = row.name if row.name == row.kind else f"{row.kind} {row.name}"
        table.add_row(shown, target, row.form, row.min_severity, *counts)
    console().print(table if rows else "no sinks")


@sinks.command()
@click.argument("name", required=False)
@_config
def test(name: str | None, file: str | None) -> int:
    """Send a test alert to every sink, or to the one called NAME, and wait for its answer.

    The alert says that it is a test. It does not pass through the spool. Exits with 1 when a sink did not take it.
    """
    config = load_config(Path(file) if file else None)
    tries = _tries(config)
    if name is not None and name not in tries:
        known = f"Sinks are: {', '.join(tries)}." if tries else "No sink is set but standard output."
        raise UsageError("no sink has that name", where=escape(name), todo=known)
    if not tries:
        raise UsageError(
            "there is nothing to test: no sink is set but standard output",
            todo="See [sinks] in `sockwarden config show --defaults`.",
        )
    out, failed = console(), False
    for one, attempt in tries.items():
        if name is not None and one != name:
            continue
        began = time.monotonic()
        why, how = attempt()
        took = f"{time.monotonic() - began:.2f} s"
        line = Text(f"{one}  ").append("failed" if why else "ok", style="bold red" if why else "green")
        first, *rest = (why or how).split("\n")
        put_line(out, line.append(f"  {took}  {escape(first)}"))
        for more in rest:
            put_line(out, Text("  " + escape(more)))
        failed = failed or bool(why)
    return 1 if failed else 0


def _rows(config: Config, folder: Path) -> Iterator[Row]:
    if config.sinks.terminal.enabled:
        yield Row("terminal", "terminal", "standard output", "text")
    if config.sinks.file.path:
        yield Row("file", "file", config.sinks.file.path, config.sinks.file.form)
    if config.sinks.journald.enabled:
        yield Row("journald", "journald", "systemd's journal", "fields")
    for name, receiver in (*receivers_of(config).items(), *index_receivers(config).items()):
        receiver.carrier.close()
        row = Row(name, receiver.kind, receiver.target, receiver.form, receiver.min_severity, 0, 0, 0)
        path = spool_path(folder, name)
        try:
            if totals := totals_of(path):
                row.waiting, row.dropped, row.delivered = totals.waiting, totals.dropped, totals.delivered
        except (sqlite3.Error, OSError) as error:
            row.waiting = row.dropped = row.delivered = None
            row.spool = f"its spool cannot be read: {path}: {error}"
        yield row


def _tries(config: Config) -> dict[str, Callable[[], tuple[str, str]]]:
    """For each sink what sends it the test: gives why it failed, empty where it did not, and what success means."""
    tries: dict[str, Callable[[], tuple[str, str]]] = {}
    if path := config.sinks.file.path:
        tries["file"] = lambda: _by_sink(NdjsonFileSink(Path(path), config.sinks.file.form), f"written to {path}")
    if config.sinks.journald.enabled:
        tries["journald"] = lambda: _by_sink(JournaldSink(), "the journal took it")
    for name, receiver in receivers_of(config).items():
        tries[name] = partial(_by_receiver, receiver)
    if into := index_receivers(config).get("index"):
        _, lines = item(alerts_index(config.sinks.index.namespace), uuid.uuid4().hex, whole(_test_alert()))
        tries["index"] = partial(_by_receiver, into, lines)
    return tries


def _by_sink(sink: Sink, how: str) -> tuple[str, str]:
    sink.add([_test_alert()])
    sink.close()
    return "\n".join(sink.notes()), how


def _by_receiver(receiver: Receiver, payload: bytes = b"") -> tuple[str, str]:
    entry = Entry(b"", payload or encode(whole(_test_alert())))
    outcome = receiver.carrier.send([entry])
    receiver.carrier.close()
    why = outcome.again or "".join(refusal.why for refusal in outcome.refused)
    return f"{receiver.target}: {why}" if why else "", f"{receiver.target}: {receiver.taken}"


def _test_alert() -> Document:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, Any] = {
        "_index": "sockwarden",
        "_id": uuid.uuid4().hex,
        "@timestamp": now,
        "event": {"kind": "event", "dataset": "sockwarden.test"},
        "host": {"name": os.uname().nodename},
        "message": _SAYS,
        "tags": ["sockwarden-test"],
    }
    # A finding, so that the form of Tracee's findings carries it too.
    finding = {"Data": {}, "Context": {}, "SigMetadata": {"ID": _DETECTOR.rule_id, "Name": _DETECTOR.name}}
    alert = build(document, _DETECTOR, view=None, finding=finding)
    put(alert, "kibana.alert.reason", _SAYS)
    return alert
