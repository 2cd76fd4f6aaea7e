"""`sockwarden config`: what is set, and whether it can be used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Column, Table
from rich.text import Text

from sockwarden.cli.detections import configured, known_of
from sockwarden.cli.output import console
from sockwarden.cli.receivers import receivers_of
from sockwarden.cli.sinks_of import index_receivers
from sockwarden.content import packaged
from sockwarden.credentials import masked
from sockwarden.errors import InputError, SockwardenError
from sockwarden.settings.load import DEFAULT_FILE, read_config
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put


@click.group()
def config() -> None:
    """The settings of `watch`, from /etc/sockwarden/config.toml."""


@config.command()
@click.argument("file", required=False, metavar="[FILE]")
def check(file: str | None) -> None:
    """Tell every error of FILE, or of the usual file, with its line; exit with 3 when there is one."""
    loaded = read_config(Path(file) if file else None)
    try:
        known = known_of(loaded.config)
        configured(loaded.config, known)
    except SockwardenError as error:
        raise InputError("[rules] cannot be used", where=str(loaded.path), why=str(error)) from None
    for receiver in (*receivers_of(loaded.config).values(), *index_receivers(loaded.config).values()):
        receiver.carrier.close()
    if known.errors:
        raise InputError(
            "the rules folder has errors, which are told above",
            where=loaded.config.rules.folder,
            todo="Mend its files.",
        )
    told = f"{loaded.path}: fine" if loaded.path else f"no file at {DEFAULT_FILE}: the defaults hold"
    put(console(), Text(escape(told)))


@config.command()
@click.option("--config", "file", metavar="FILE", help="This file in place of the usual one.")
@click.option("--defaults", is_flag=True, help="Every key with its default and what it means, as a file to start from.")
def show(file: str | None, defaults: bool) -> None:
    """The settings in force, and where each comes from."""
    if defaults:
        sys.stdout.write(packaged("config.toml").read_text("utf-8"))
        return
    loaded = read_config(Path(file) if file else None)
    table = Table(Column("setting", no_wrap=True), Column("value", overflow="fold"), "from", box=None)
    table.header_style = "dim"
    for name, value in _leaves(_without_secrets(msgspec.to_builtins(loaded.config))):
        line = loaded.lines.get(name)
        shown = Text(escape(msgspec.json.encode(value).decode()))
        table.add_row(name, shown, Text("default", style="dim") if line is None else f"line {line}")
    out = console()
    put(out, Text(escape(str(loaded.path or f"no file at {DEFAULT_FILE}")), style="dim"))
    out.print(table)


def _without_secrets(table: dict[str, Any]) -> dict[str, Any]:
    """The settings as they may be shown: who knows a webhook's whole address may send to it."""
    for one in table["sinks"]["webhook"]:
        for key in ("url", "proxy"):
            one[key] = one[key] and masked(one[key])
        for header in one["headers"]:
            header["value"] = header["value"] and "…"
    return table


def _leaves(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and values; an array is one value."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        found += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found
