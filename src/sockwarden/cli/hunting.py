"""A hunt as it was asked for on the command line: it prints, keeps and counts what is found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sockwarden.alerts import SEVERITIES, Severity
from sockwarden.cli.detections import Known, chosen
from sockwarden.cli.output import console, is_terminal, print_error, print_notes
from sockwarden.cli.report import notes
from sockwarden.detect import StreamGroups
from sockwarden.document import Document, get
from sockwarden.pipeline.hunt import Hunt, Started, Window
from sockwarden.pipeline.learning import Learning
from sockwarden.readers import Quarantine, Stream, plan
from sockwarden.sinks import LineSink, escape
from sockwarden.sinks.fold import is_building_block

if TYPE_CHECKING:
    from rich.console import Console

    from sockwarden.sinks.terminal import TerminalSink
    from sockwarden.store import Store

_BATCH = 500


class Asked(msgspec.Struct, frozen=True):
    """The command's arguments and options; keep: where alerts are kept, and whether."""

    paths: Sequence[str]
    selectors: Sequence[str]
    folder: Path
    window: tuple[str, str]
    output: str
    fail_on: str | None
    keep: bool
    state: str | None
    quarantine: Path | None
    literal: bool
    verify: bool


def run_hunt(asked: Asked, streams: Sequence[Stream], begun: Learning | None) -> int:
    """Runs it, and gives the exit code. begun: the first stream, where it is being read already."""
    detections = chosen(asked.selectors, Known(asked.folder))
    inputs = [path for stream in streams for path in stream.paths]
    quarantine = Quarantine(asked.quarantine, inputs=inputs) if asked.quarantine else None
    run = Hunt(detections, literal=asked.literal, window=Window(*asked.window), quarantine=quarantine)
    screen = console() if asked.output == "text" else None
    sink = _printer(screen, stored=asked.keep) if screen else LineSink(asked.output, sys.stdout.buffer)
    # Where alerts and progress meet on one terminal, one console keeps them apart; raw lines leave no room for a bar.
    bar = screen if is_terminal(sys.stdout) else console(stderr=True) if is_terminal(sys.stderr) else None
    found = _Found(uuids=set() if asked.verify else None)
    began = time.monotonic()
    with _store(asked.state) if asked.keep else nullcontext() as store, _progress(bar) as progress:
        lines = sink.lines if isinstance(sink, LineSink) and not store else None
        found.take(run.found(streams, progress, lines, begun), sink, store, run.engine.groups)
    run.engine.close()
    for failure in run.failures:
        print_error(str(failure))
    if quarantine:
        quarantine.close()
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
    if found.uuids is not None and not _verify(found.uuids, asked):
        return 3
    least = SEVERITIES.index(asked.fail_on) if asked.fail_on else len(SEVERITIES)
    return 3 if run.failures else 1 if found.worst >= least else 0


def _verify(found: set[str], asked: Asked) -> bool:
    """Whether a parse of every event finds the same alerts, and says so."""
    began = time.monotonic()
    detections = chosen(asked.selectors, Known(asked.folder))
    again = Hunt(detections, literal=asked.literal, window=Window(*asked.window), every_event=True)
    uuids = {str(get(alert, "kibana.alert.uuid")) for alert in again.alerts(plan(list(asked.paths)))}
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
