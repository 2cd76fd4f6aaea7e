"""`sockwarden doctor`: what works here, what is blind, how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.text import Text

from sockwarden.cli.cluster import client_of
from sockwarden.cli.detections import configured
from sockwarden.cli.output import console, write_line
from sockwarden.detect import RuleDetection
from sockwarden.errors import SockwardenError
from sockwarden.pipeline.doctor import DEFAULT, Finding, examine
from sockwarden.pipeline.doctor.index import examine_index, templates
from sockwarden.pipeline.scheduled import is_scheduled
from sockwarden.settings import state_folder
from sockwarden.settings.load import load_config
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: name, state, message, todo.")
@click.option("--state", metavar="DIR", help="The watch's state folder; else that of its configuration.")
@click.option(
    "--runtime-dir", metavar="DIR", default=str(DEFAULT), show_default=True, help="The watch's runtime folder."
)
@click.option("--index", "of_index", is_flag=True, help="Look into the cluster instead of at this host.")
@click.option(
    "--config", "file", metavar="FILE", help="Settings for --index; else /etc/sockwarden/config.toml, if there."
)
def doctor(as_json: bool, state: str | None, runtime_dir: str, of_index: bool, file: str | None) -> int:
    """Say what works here, what is blind, and try it.

    With --index: for the index patterns of the rules, and for each host there, whether events come and carry what the
    rules ask for.

    ok: in place. warn: something cannot be seen, or does not run. fail: what should work does not. Below each stands
    the mend. Exit code 0, or 1 where anything failed; 3 means that the doctor itself could not work.
    """
    out = console()
    counts = dict.fromkeys(_STYLES, 0)
    for finding in _of_index(file) if of_index else examine(_state(state), Path(runtime_dir)):
        counts[finding.state] += 1
        if as_json:
            write_line(msgspec.json.encode(finding))
            continue
        for line in _lines(finding):
            put(out, line)
    if not as_json:
        put(out, Text("\n" + ", ".join(f"{count} {state}" for state, count in counts.items() if count), style="dim"))
    return 1 if counts["fail"] else 0


def _of_index(file: str | None) -> Iterator[Finding]:
    config = load_config(Path(file) if file else None)
    rules = [one.rule for one in configured(config) if isinstance(one, RuleDetection) and is_scheduled(one.rule)]
    patterns = dict.fromkeys(name for rule in rules for name in rule.index if not name.startswith("-"))
    client = client_of(config.cluster)
    try:
        yield from examine_index(client, patterns, int(time.time() * 1000))
        if config.sinks.index.enabled:
            yield from templates(client)
    finally:
        client.close()


def _state(given: str | None) -> Path:
    """Where the watch keeps its store; a broken one has a finding of its own."""
    if given:
        return Path(given)
    try:
        return state_folder(load_config().watch.state or None)
    except SockwardenError:
        return state_folder()


def _lines(finding: Finding) -> list[Text]:
    first = Text(f"{finding.state:<5}", style=_STYLES[finding.state])
    first.append(f"{escape(finding.name)}: ", style="bold not dim default").append(
        escape(finding.message), "not bold default"
    )
    lines = [first]
    if finding.todo:
        lines += [Text("     → " + escape(line), style="dim") for line in finding.todo.split("\n")]
    return lines
