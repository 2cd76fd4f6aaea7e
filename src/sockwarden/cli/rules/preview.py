"""`sockwarden rules preview`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec
from rich.table import Column, Table

from sockwarden.cli.detections import known_of
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.cli.rules.runs import rule_named
from sockwarden.cli.sources import Asked, renamed, source_of
from sockwarden.cli.times import utc
from sockwarden.detect import RuleDetection
from sockwarden.detect.scheduled import Window
from sockwarden.errors import UsageError
from sockwarden.pipeline.scheduled import Preview, Runner, fill, preview, starts
from sockwarden.pipeline.scheduled.runner import moment
from sockwarden.rules import Rule
from sockwarden.rules.moments import span_ms
from sockwarden.settings import state_folder
from sockwarden.settings.load import load_config
from sockwarden.sinks import escape
from sockwarden.store import Run, Store

MOST_RUNS = 10_000
_COUNTS = ("candidates", "excepted", "known", "suppressed", "alerts", "overflow")
_ALWAYS = ("candidates", "alerts")
_HELP_STATE = "The state folder; else SOCKWARDEN_STATE or the system's place."


@click.command("preview")
@click.argument("selector", metavar="NAME")
@click.option(
    "--from", "place", metavar="PLACE", required=True, help="Where the events are: store, index, or a folder."
)
@click.option("--since", metavar="TIME", help="From this time on (2026-11-21, now-2h; UTC).  [default: now-1h]")
@click.option("--until", metavar="TIME", help="Up to this time.  [default: now]")
@click.option("--fill", "for_real", is_flag=True, help="Run the recorded gaps for real, or the stretch that is given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run.")
@click.option("--config", "config_path", metavar="FILE", help="Settings; else /etc/sockwarden/config.toml, if there.")
@click.option("--state", metavar="DIR", help=_HELP_STATE)
@click.option(
    "--map", "maps", multiple=True, metavar="FIELD=FIELD", help="Ask the second field where the rule names the first."
)
def preview_(
    selector: str,
    place: str,
    since: str | None,
    until: str | None,
    for_real: bool,
    as_json: bool,
    config_path: str | None,
    state: str | None,
    maps: tuple[str, ...],
) -> None:
    """What a rule would have found, run by run; with --fill, what nobody has looked at is looked at and kept.

    NAME is a file stem, id, name, or a rule file's path.
    """
    config = load_config(Path(config_path) if config_path else None)
    rule = rule_named(selector, known_of(config))
    folder = state_folder(state or config.watch.state)
    stretch = _stretch(since, until)
    with _store(folder, lasting=for_real or place == "store") as store:
        source = source_of(Asked(place, config, store, renamed(maps)))
        detection = RuleDetection(rule)
        if not for_real:
            _bounded(rule, stretch)
            _show_previews(preview(detection, source, store, stretch), rule, as_json=as_json)
            return
        given = [stretch] if since or until else None
        gaps = [Window(gap.start, gap.end) for gap in store.runs.gaps(rule.rule_id)]
        runner = Runner(store, source)
        filled = (run for one in given or gaps for run in fill(detection, runner, store, one))
        if given:
            _bounded(rule, stretch)
        elif not gaps:
            print_notes([f"{escape(rule.name)} has no gaps. --since and --until name a stretch of your own."])
            return
        _show_runs(filled, as_json=as_json)


@contextmanager
def _store(folder: Path, *, lasting: bool) -> Iterator[Store]:
    """The store that knows which alerts there are; where there is none yet, a preview leaves none behind."""
    if lasting or (folder / "sockwarden.db").exists():
        with Store(folder, create=False) as store:
            yield store
        return
    with TemporaryDirectory(prefix="sockwarden-") as temporary, Store(Path(temporary), create=True) as store:
        yield store


def _stretch(since: str | None, until: str | None) -> Window:
    start, end = (
        _ms(utc(text, option=option)) for text, option in ((since or "now-1h", "--since"), (until or "now", "--until"))
    )
    if start >= end:
        raise UsageError("--since is not before --until", todo="Name a stretch of time: --since now-2h --until now-1h.")
    return Window(start, end)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _bounded(rule: Rule, stretch: Window) -> None:
    count = len(starts(span_ms(rule.interval), stretch))
    if count > MOST_RUNS:
        raise UsageError(
            f"that stretch has {count:,} runs of {rule.name}, and {MOST_RUNS:,} are done at most",
            todo="Name a shorter one with --since and --until.",
        )


def _show_previews(previews: Iterator[Preview], rule: Rule, *, as_json: bool) -> None:
    rows: list[tuple[tuple[int, int], tuple[int, ...]]] = []
    warnings: dict[str, None] = {}
    alerts = 0
    for one in previews:
        looked = one.looked
        alerts += looked.alerts
        warnings |= dict.fromkeys(one.warnings)
        if as_json:
            row = {"started": one.started, **msgspec.to_builtins(looked), "warnings": one.warnings}
            write_line(msgspec.json.encode(row))
        elif looked.candidates:
            counts = (
                looked.candidates,
                looked.excepted,
                looked.known,
                looked.suppressed,
                looked.alerts,
                looked.overflow,
            )
            rows.append((looked.window, counts))
    if not as_json:
        _show(rows)
        print_notes(map(escape, [*warnings, f"{rule.name}: {alerts:,} alerts; runs that find nothing are not shown"]))


def _show_runs(runs: Iterator[Run], *, as_json: bool) -> None:
    rows: list[tuple[tuple[int, int], tuple[int, ...]]] = []
    warnings: dict[str, None] = {}
    count = alerts = 0
    try:
        for run in runs:
            count += 1
            alerts += run.alerts
            warnings |= dict.fromkeys(run.warnings)
            if as_json:
                write_line(msgspec.json.encode(run))
            elif run.candidates:
                counts = (run.candidates, run.excepted, run.known, run.suppressed, run.alerts, run.overflow)
                rows.append((run.windows[0], counts))
    finally:
        if not as_json:
            _show(rows)
            print_notes(map(escape, [*warnings, f"{count:,} windows looked at, {alerts:,} alerts kept"]))


def _show(rows: Sequence[tuple[tuple[int, int], tuple[int, ...]]]) -> None:
    """A table of windows with what became of their documents; what none of them has is left out."""
    if not rows:
        return
    kept = [number for number, name in enumerate(_COUNTS) if name in _ALWAYS or any(row[1][number] for row in rows)]
    columns = (Column(_COUNTS[number], justify="right", no_wrap=True) for number in kept)
    table = Table(Column("window (UTC)", overflow="fold"), *columns, box=None, header_style="dim", pad_edge=False)
    for window, counts in rows:
        table.add_row(_window(window), *(f"{counts[number]:,}" for number in kept))
    console().print(table)


def _window(window: tuple[int, int]) -> str:
    start, end = map(moment, window)
    day = start.partition(" ")[0] + " "
    return f"{start} to {end.removeprefix(day)}"
