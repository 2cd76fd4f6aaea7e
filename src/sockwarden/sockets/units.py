"""Sockets on which systemd listens for a runtime daemon that it starts at the first access (systemd.socket(5))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from sockwarden.sockets.catalogue import Daemon
from sockwarden.sockets.daemons import Daemons
from sockwarden.sockets.processes import read_file

FOLDERS = tuple(
    map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"))
)
"""Where system units are, the strongest first (systemd.unit(5))."""

_MOST_UNITS = 4096
_PREFIXES = "@-:+!|"
"""What may stand before the program in ExecStart= (systemd.service(5))."""


class Activation(msgspec.Struct, frozen=True):
    """A socket unit of a runtime daemon."""

    unit: str
    daemon: Daemon


def activations(daemons: Daemons, folders: Sequence[Path] = FOLDERS) -> dict[str, Activation]:
    """The addresses on which systemd listens for these daemons: a path, `@name`, `host:port` or `:port`."""
    found: dict[str, Activation] = {}
    for unit in _units(folders):
        lines = _lines(unit, folders)
        addresses = _last_list(lines, "ListenStream")
        if not addresses:
            continue
        service = _last_list(lines, "Service")[-1:] or [unit.removesuffix(".socket") + ".service"]
        commands = _last_list(_lines(service[0], folders), "ExecStart")
        serving = (daemons.serving(_program(command)) for command in commands)
        if daemon := next(filter(None, serving), None):
            found |= {_address(address): Activation(unit, daemon) for address in addresses}
    return found


def _units(folders: Sequence[Path]) -> list[str]:
    names: set[str] = set()
    for folder in folders:
        try:
            names |= {path.name for path in islice(folder.glob("*.socket"), _MOST_UNITS)}
        except OSError:
            continue
    return sorted(names)


def _lines(unit: str, folders: Sequence[Path]) -> list[tuple[str, str]]:
    """Settings of a unit and of its drop-ins: key and value. A unit in a stronger folder hides the others."""
    if "/" in unit:
        return []
    file = next((folder / unit for folder in folders if (folder / unit).exists()), None)
    drop_ins: dict[str, Path] = {}
    for folder in reversed(folders):
        try:
            drop_ins |= {path.name: path for path in (folder / f"{unit}.d").glob("*.conf")}
        except OSError:
            continue
    texts = [read_file(str(path)) for path in [file, *(drop_ins[name] for name in sorted(drop_ins))] if path]
    return list(_settings(b"\n".join(texts).decode("utf-8", "surrogateescape")))


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            yield key.strip(), value.strip()


def _last_list(lines: list[tuple[str, str]], wanted: str) -> list[str]:
    values: list[str] = []
    for key, value in lines:
        if key == wanted:
            # An empty value takes back what came before it.
            values = [*values, value] if value else []
    return values


def _program(command: str) -> str:
    try:
        words = shlex.split(command, posix=True)
    except ValueError:
        words = command.split()
    return words[0].lstrip(_PREFIXES) if words else ""


def _address(value: str) -> str:
    """ListenStream= as we write addresses."""
    if value.isdigit():
        return f":{value}"
    path = value.replace("%t", "/run")
    return path.removeprefix("/var") if path.startswith("/var/run/") else path
