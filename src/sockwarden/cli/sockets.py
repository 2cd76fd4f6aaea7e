"""`sockwarden sockets`: which runtime sockets this host has, who listens, and who could reach them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.enrich import component_of
from sockwarden.enrich.containers import Containers
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put
from sockwarden.sockets import Catalogue, LiveSocket, packaged, text_of
from sockwarden.sockets.accounts import owner_of
from sockwarden.sockets.discovery import Discovery
from sockwarden.sockets.exposure import Exposure, exposure
from sockwarden.sockets.processes import argv_of, directory_of

_MOST_NAMED = 12
"""Users or containers that are named one by one in a listing for people; JSON has all."""


@click.command()
@click.option(
    "--exposure", "exposed", is_flag=True, help="Say who could reach each: users, groups, containers, network."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each socket, one a line.")
def sockets(exposed: bool, as_json: bool) -> None:
    """List the runtime sockets of this host, who listens, and who could reach them.

    Found are those at the usual addresses, and those of runtime daemons wherever they listen. Without root the list is
    shorter; the end of it says what is missing.
    """
    discovery = Discovery(packaged())
    found = discovery.discover()
    exposures: list[Exposure | None] = _exposures(found) if exposed else [None for _ in found]
    if as_json:
        for live, one in zip(found, exposures, strict=True):
            write_line(msgspec.json.encode(_as_json(live, one)))
    elif not found:
        console().print(_none_found(packaged()))
    elif exposed:
        _print_blocks(console(), found, exposures)
    else:
        _print_table(console(), found)
    print_notes(f"{escape(limit)}." for limit in discovery.limits)


def _exposures(found: list[LiveSocket]) -> list[Exposure | None]:
    containers = Containers()
    for listener in {listener for live in found for listener in live.listeners}:
        # Daemons with folders of their own say so in their arguments: there the containers' names are.
        if component := component_of(listener.executable):
            containers.learn(component, argv_of(listener.pid), directory_of(listener.pid))

    def container_of(pid: int) -> str | None:
        container = containers.of_pid(pid)
        if container is None:
            return None
        name = container.description.name if container.description else None
        return f"{name} ({container.id[:12]})" if name else container.id[:12]

    try:
        return list(exposure(found, container_of))
    finally:
        containers.close()


def _print_table(out: Console, found: list[LiveSocket]) -> None:
    table = Table(
        Column("socket", overflow="fold"),
        Column("runtime", no_wrap=True),
        Column("mode owner", overflow="fold"),
        Column("listener", overflow="fold"),
        Column("found by", overflow="fold"),
        box=None,
        header_style="dim",
    )
    for live in found:
        address = Text(escape(live.socket.address))
        if place := _elsewhere(live):
            address.append(f"\n{place}", style="yellow")
        cells = (live.socket.runtime, _owner(live), _listener(live), live.found_by)
        table.add_row(address, *(Text(escape(cell)) for cell in cells))
    out.print(table)


def _print_blocks(out: Console, found: list[LiveSocket], exposures: list[Exposure | None]) -> None:
    for number, (live, one) in enumerate(zip(found, exposures, strict=True)):
        if number:
            out.print()
        put(out, Text(escape(live.socket.address), style="bold").append(f"  {live.socket.name}", style="not bold dim"))
        facts = [("file", f"{_owner(live)} {_elsewhere(live)}".strip()), ("listener", _listener(live))]
        if one:
            facts += _reached_by(one)
        for label, value in facts:
            if value:
                style = "yellow" if label == "concern" else ""
                put(out, Text(f"  {label:<11}", style="dim").append(escape(value), style=f"not dim {style}"))


def _reached_by(one: Exposure) -> list[tuple[str, str]]:
    everyone = {True: "everyone", None: "not known"}.get(one.everyone)
    facts = [
        ("users", everyone or _some(one.users) or "only root"),
        ("groups", _some(one.groups)),
        ("TLS", "clients must show a certificate" if one.tls else ""),
    ]
    for reach in one.containers[:_MOST_NAMED]:
        where = f" at {reach.path}" if reach.path else " by the network namespace that they share"
        doubt = "" if reach.verified else " (not verified)"
        facts.append(("container", f"{reach.container or f'unknown, pid {reach.pid}'}{where}{doubt}"))
    if rest := len(one.containers) - _MOST_NAMED:
        facts.append(("", f"{rest:,} more containers" if rest > 0 else ""))
    return facts + [("concern", concern) for concern in one.concerns]


def _some(names: tuple[str, ...]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _owner(live: LiveSocket) -> str:
    return f"{live.mode:04o} {owner_of(live)}" if live.kind == "path" and live.path else ""


def _elsewhere(live: LiveSocket) -> str:
    """Where the file is, if it is not at the socket's address."""
    if live.kind != "path":
        return ""
    if live.path is None:
        return "out of sight"
    return "" if text_of(live.path) == live.socket.address else f"now {escape(text_of(live.path))}"


def _listener(live: LiveSocket) -> str:
    names = [f"{PurePosixPath(one.executable).name} {one.pid}" for one in live.listeners]
    if names:
        return ", ".join(names)
    if live.unit:
        return f"systemd for {live.unit}"
    return {True: "not known", False: "nobody", None: "not known"}[live.listening]


def _as_json(live: LiveSocket, one: Exposure | None) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(live.socket) | msgspec.to_builtins(live)
    del row["socket"]
    row["path"] = text_of(live.path) if live.path else None
    row["mode"] = f"{live.mode:04o}"
    if one:
        row["exposure"] = msgspec.to_builtins(one)
        del row["exposure"]["live"]
    return row


def _none_found(catalogue: Catalogue) -> Text:
    looked = (
        f"Looked at {len(catalogue.paths)} places such as {catalogue.paths[0]}, and at what runtime daemons listen on"
    )
    return Text(f"no runtime socket found\n{looked}: {', '.join(sorted({one.runtime for one in catalogue.daemons}))}.")
