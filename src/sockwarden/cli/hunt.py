"""`sockwarden hunt`: recorded logs in, alerts out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from sockwarden.alerts import SEVERITIES, Severity
from sockwarden.cli.detections import Known, chosen
from sockwarden.cli.output import console, is_terminal, print_error, print_notes
from sockwarden.cli.report import notes
from sockwarden.cli.times import utc
from sockwarden.detect import StreamGroups
from sockwarden.document import Document, get
from sockwarden.pipeline import Hunt, Started, Window
from sockwarden.readers import Quarantine, Stream, plan
from sockwarden.rules import DEFAULT_FOLDER
from sockwarden.sinks import FORMS, LineSink, escape
from sockwarden.sinks.fold import is_building_block

if TYPE_CHECKING:
    from rich.console import Console

    from sockwarden.sinks.terminal import TerminalSink
    from sockwarden.store import Store

_BATCH = 500


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--rule", "selectors", multiple=True, metavar="NAME", help="Only this rule or signature; again for more.")
@click.option(
    "--literal", is_flag=True, help="Judge the address as given, as the published detections do: for comparison."
)
@click.option(
    "--rules",
    "folder",
    metavar="DIR",
    default=str(DEFAULT_FOLDER),
    show_default=True,
    help="Rules, exceptions and value lists of yours, where there are any.",
)
@click.option("--since", metavar="TIME", help="Accesses from this time on (2026-11-21, now-2h; UTC).")
@click.option("--until", metavar="TIME", help="Accesses up to this time.")
@click.option(
    "--output",
    type=click.Choice(["text", *FORMS]),
    default="text",
    show_default=True,
    help="For people; whole alerts as JSON lines; the same in plain ECS; findings as Tracee prints them.",
)
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 on an alert of this severity or above.")
@click.option("--store", "keep", is_flag=True, help="Keep the alerts, for `sockwarden alerts`.")
@click.option("--state", metavar="DIR", help="Where to keep them; else SOCKWARDEN_STATE, else the system's place.")
@click.option("--quarantine", metavar="FILE", help="Keep lines that could not be parsed here, up to 1 MiB.")
@click.option("--verify", is_flag=True, help="Parse every event as well, which is slow, and compare what is found.")
def hunt(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    folder: str,
    literal: bool,
    since: str | None,
    until: str | None,
    output: str,
    fail_on: str | None,
    keep: bool,
    state: str | None,
    quarantine: str | None,
    verify: bool,
) -> int:
    """Find accesses to runtime sockets in recorded logs.

    PATH is an audit log (also rotated, gzip, exported with journalctl -o json or dmesg), ECS NDJSON of Auditbeat,
    auditd_manager or Elasticsearch, Tracee JSON, a folder of such, or - for standard input. The format is detected.
    """
    window = Window(utc(since, option="--since"), utc(until, option="--until"))
    if verify and any(path == "-" or Path(path).is_fifo() for path in paths):
        raise click.UsageError("--verify reads the input again, and a pipe can be read once: give a file.")
    detections = chosen(selectors, Known(Path(folder)))
    streams = plan(list(paths))
    inputs = [path for stream in streams for path in stream.paths]
    kept = Quarantine(Path(quarantine), inputs=inputs) if quarantine else None
    run = Hunt(detections, literal=literal, window=window, quarantine=kept)
    screen = console() if output == "text" else None
    sink = _printer(screen, stored=keep) if screen else LineSink(output, sys.stdout.buffer)
    # Where alerts and progress meet on one terminal, one console keeps them apart; raw lines leave no room for a bar.
    bar = screen if is_terminal(sys.stdout) else console(stderr=True) if is_terminal(sys.stderr) else None
    found = _Found(uuids=set() if verify else None)
    began = time.monotonic()
    with _store(state) if keep else nullcontext() as store, _progress(bar) as progress:
        lines = sink.lines if isinstance(sink, LineSink) and not store else None
        found.take(run.found(streams, progress, lines), sink, store, run.engine.groups)
    run.engine.close()
    for failure in run.failures:
        print_error(str(failure))
    if kept:
        kept.close()
    if run.formats:
        print_notes(map(escape, notes(run, found.counts, time.monotonic() - began)))
    if sink.left_out:
        what = "of rules have no Tracee form" if isinstance(sink, LineSink) else "are building blocks, not for people,"
        print_notes([f"{sink.left_out} alerts {what} and were left out; --output ndjson has them."])
    if found.interrupted:
        print_error("stopped before the end of the input\nWhat was found so far is above.")
        return 130
    if not run.formats and not run.failures:
        print_error("no file here is a log that is known\n" + "\n".join(map(str, run.ignored[:3])))
        return 3
    if found.uuids is not None:
        again = Hunt(chosen(selectors, Known(Path(folder))), literal=literal, window=window, every_event=True)
        if not _verify(found.uuids, again, plan(list(paths))):
            return 3
    least = SEVERITIES.index(fail_on) if fail_on else len(SEVERITIES)
    return 3 if run.failures else 1 if found.worst >= least else 0


def _verify(found: set[str], again: Hunt, streams: list[Stream]) -> bool:
    """Whether a parse of every event finds the same alerts, and says so."""
    began = time.monotonic()
    uuids = {str(get(alert, "kibana.alert.uuid")) for alert in again.alerts(streams)}
    took = f"a parse of every event ({again.met.tally.events:,}), {time.monotonic() - began:.1f} s"
    if uuids == found:
        print_notes([f"Verified: {took}, gives the same {len(found):,} alerts."])
        return True
    print_error(
        f"a parse of every event gives other alerts\n{took}: {len(uuids - found):,} more, {len(found - uuids):,} less. "
        f"Please report it, with the events of {', '.join(sorted(uuids ^ found)[:3])}."
    )
    return False


def _store(state: str | None) -> Store:
    from sockwarden.settings import state_folder  # noqa: PLC0415 - few hunts keep what they find
    from sockwarden.store import Store  # noqa: PLC0415 - likewise

    return Store(state_folder(state), create=True)


def _printer(screen: Console, *, stored: bool) -> TerminalSink:
    from sockwarden.sinks.terminal import TerminalSink  # noqa: PLC0415 - most of what starts a hunt, and lines need none

    return TerminalSink(screen, stored=stored)


class _Found(msgspec.Struct):
    """What a hunt found: alerts by rule, the highest severity's place in SEVERITIES, whether it was stopped; uuids of
    alerts, where they are asked for.
    """

    counts: dict[str, int] = {}
    worst: int = -1
    interrupted: bool = False
    uuids: set[str] | None = None

    def take(
        self,
        alerts: Iterator[Document | Started],
        sink: TerminalSink | LineSink,
        store: Store | None,
        groups: StreamGroups,
    ) -> None:
        """Passes alerts to the sink and the store, batch by batch. When the hunt is stopped, what was found is kept."""
        batch: list[Document] = []
        try:
            for alert in alerts:
                if isinstance(alert, Started):
                    by = alert.detector
                    sink.add_started(alert.start, by.rule)  # type: ignore[union-attr]
                    self._count(alert.uuid, by.name, alert.severity, shown=not by.building_block)
                    continue
                if store:
                    _redact(alert)
                    batch.append(alert)
                    if len(batch) >= _BATCH:
                        store.add(batch)
                        store.grow(groups.grown())
                        batch = []
                sink.add(alert)
                signal = alert["kibana"]["alert"]
                shown = not is_building_block(alert)
                self._count(signal["uuid"], signal["rule"]["name"], signal["severity"], shown=shown)
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            sink.close()
        if store:
            store.add(batch)
            store.grow(groups.grown())

    def _count(self, uuid: str, name: str, severity: Severity, *, shown: bool) -> None:
        if self.uuids is not None:
            self.uuids.add(uuid)
        self.counts[name] = self.counts.get(name, 0) + 1
        if shown:
            self.worst = max(self.worst, SEVERITIES.index(severity))


def _redact(alert: Document) -> None:
    from sockwarden.pipeline.graded import redact  # noqa: PLC0415 - likewise

    redact(alert)


@contextmanager
def _progress(out: Console | None) -> Iterator[Callable[[Stream, int, int], None]]:
    """A progress bar on a terminal, drawn as it is told: a thread that did so would not live on in a fork."""
    if out is None or not out.is_terminal:
        yield lambda *_: None
        return
    from rich.progress import (  # noqa: PLC0415 - only terminals have one
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("hunting", total=None)

        def show(stream: Stream, number: int, done: int) -> None:
            step = "learning" if number == 1 else "judging"
            bar.update(
                task, description=f"{step} {escape(stream.name)}", total=stream.size, completed=done, refresh=True
            )

        yield show
