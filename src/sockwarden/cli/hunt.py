"""`sockwarden hunt`: recorded logs in, alerts out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from sockwarden.alerts import SEVERITIES
from sockwarden.cli.times import utc
from sockwarden.content import RULES_FOLDER
from sockwarden.pipeline.learning import begun
from sockwarden.readers import plan
from sockwarden.sinks import FORMS


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
    default=str(RULES_FOLDER),
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
    if verify and any(path == "-" or Path(path).is_fifo() for path in paths):
        raise click.UsageError("--verify reads the input again, and a pipe can be read once: give a file.")
    window = utc(since, option="--since"), utc(until, option="--until")
    streams = plan(list(paths))
    with (None if literal or quarantine else begun(streams)) or nullcontext() as learning:
        # What takes long to import is imported, and the rules are read, while processes read the log.
        from sockwarden.cli.hunting import Asked, run_hunt  # noqa: PLC0415

        asked = Asked(
            paths=paths,
            selectors=selectors,
            folder=Path(folder),
            window=window,
            output=output,
            fail_on=fail_on,
            keep=keep,
            state=state,
            quarantine=Path(quarantine) if quarantine else None,
            literal=literal,
            verify=verify,
        )
        return run_hunt(asked, streams, learning)
