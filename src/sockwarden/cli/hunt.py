"""`sockwarden hunt`: recorded logs in, alerts out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from sockwarden.alerts import SEVERITIES
from sockwarden.cli.detections import chosen
from sockwarden.cli.output import console, print_error, print_notes
from sockwarden.cli.report import notes
from sockwarden.cli.times import utc
from sockwarden.document import Document, get
from sockwarden.pipeline import Hunt, Window
from sockwarden.readers import Quarantine, Stream, plan
from sockwarden.settings import state_folder
from sockwarden.sinks import FORMS, LineSink, TerminalSink, escape
from sockwarden.store import Store

_BATCH = 500


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--rule", "selectors", multiple=True, metavar="NAME", help="Only this rule or signature; again for more.")
@click.option(
    "--literal", is_flag=True, help="Judge the address as given, as the published detections do: for comparison."
)
@click.option("--since", metavar="TIME", help="Accesses from this time on (2026-11-21, now-2h; UTC).")
@click.option("--until", metavar="TIME", help="Accesses up to this time.")
@click.option("--output", type=click.Choice(["text", *FORMS]), default="text", show_default=True)
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 on an alert of this severity or above.")
@click.option("--store", "keep", is_flag=True, help="Keep the alerts, for `sockwarden alerts`.")
@click.option("--state", metavar="DIR", help="Where to keep them; else SOCKWARDEN_STATE, else the system's place.")
@click.option("--quarantine", metavar="FILE", help="Keep lines that could not be parsed here, up to 1 MiB.")
def hunt(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    literal: bool,
    since: str | None,
    until: str | None,
    output: str,
    fail_on: str | None,
    keep: bool,
    state: str | None,
    quarantine: str | None,
) -> int:
    """Find accesses to runtime sockets in recorded logs.

    PATH is an audit log (also rotated, gzip, exported with journalctl -o json or dmesg), ECS NDJSON of Auditbeat,
    auditd_manager or Elasticsearch, Tracee JSON, a folder of such, or - for standard input. The format is detected.
    """
    window = Window(utc(since, option="--since"), utc(until, option="--until"))
    run = Hunt(chosen(selectors), literal=literal, window=window)
    streams = plan(list(paths))
    if quarantine:
        run.tally.quarantine = Quarantine(
            Path(quarantine), inputs=[path for stream in streams for path in stream.paths]
        )
    sink = TerminalSink(console(), stored=keep) if output == "text" else LineSink(output, sys.stdout.buffer)
    least = SEVERITIES.index(fail_on) if fail_on else len(SEVERITIES)
    counts: dict[str, int] = {}
    worst = -1
    began = time.monotonic()
    with Store(state_folder(state), create=True) if keep else nullcontext() as store, _progress() as progress:
        for alert in _stored(run.alerts(streams, progress), store):
            sink.add(alert)
            name = str(get(alert, "kibana.alert.rule.name"))
            counts[name] = counts.get(name, 0) + 1
            worst = max(worst, SEVERITIES.index(get(alert, "kibana.alert.severity")))
    sink.close()
    for failure in run.failures:
        print_error(str(failure))
    if run.tally.quarantine:
        run.tally.quarantine.close()
    if run.formats:
        print_notes(map(escape, notes(run, counts, time.monotonic() - began)))
    if isinstance(sink, LineSink) and sink.left_out:
        print_notes(
            [f"{sink.left_out} alerts of rules have no Tracee form and were left out; --output ndjson has them."]
        )
    nothing_read = not run.formats and not run.failures
    if nothing_read:
        print_error("no file here is a log that is known\n" + "\n".join(map(str, run.ignored[:3])))
    return 3 if run.failures or nothing_read else 1 if worst >= least else 0


def _stored(alerts: Iterator[Document], store: Store | None) -> Iterator[Document]:
    """Passes alerts on, and keeps them batch by batch."""
    batch: list[Document] = []
    for alert in alerts:
        if store:
            batch.append(alert)
            if len(batch) >= _BATCH:
                store.add(batch)
                batch.clear()
        yield alert
    if store:
        store.add(batch)


@contextmanager
def _progress() -> Iterator[Callable[[Stream, int, int], None]]:
    """A progress bar on standard error, where that is a terminal and standard output is not the same one scrolling."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("hunting", total=None)

        def show(stream: Stream, number: int, done: int) -> None:
            step = "learning" if number == 1 else "judging"
            bar.update(task, description=f"{step} {escape(stream.name)}", total=stream.size, completed=done)

        yield show
