"""`sockwarden rules lint`."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec
from rich.table import Column, Table
from rich.text import Text

from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.cli.rules.texts import named
from sockwarden.rules import lint as linting
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_STYLES = {"error": "bold red", "warning": "yellow"}
_FOUND, _UNREADABLE = 1, 3


@click.command()
@click.argument("selectors", metavar="[PATH|NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One finding a line, as JSON.")
@click.option("--codes", is_flag=True, help="List what can be found, and stop.")
def lint(selectors: Sequence[str], as_json: bool, codes: bool) -> int:
    """What is probably not meant in rule files.

    Files, folders, or names of packaged rules; all that is packaged where nothing is named. Ends with 1 when something
    is found, 3 when a file cannot be read. What is meant is suppressed in the file, with the reason, above the key or
    behind it: # lint: off CODE: REASON
    """
    if codes:
        _list_codes()
        return 0
    files = list(named(selectors))
    found = [linting.unreadable(file.origin, file.error) for file in files if file.error]
    found += linting.lint((file.origin, file.text) for file in files if not file.error)
    for finding in found:
        if as_json:
            write_line(msgspec.json.encode(finding.row()))
        else:
            _print(finding)
    _summarise(found, len(files))
    unread = any(finding.code == linting.UNREADABLE for finding in found)
    return _UNREADABLE if unread else _FOUND if found else 0


def _print(finding: linting.Finding) -> None:
    out = console()
    place = f"{escape(finding.file)}:{finding.line}:{finding.column}: "
    line = Text(place).append(finding.severity, style=_STYLES[finding.severity])
    put(out, line.append(f" {finding.code}", style="bold").append(f": {escape(finding.message)}"))
    for shown in (*finding.shown.splitlines(), *finding.todo.splitlines()):
        put(out, Text("    " + escape(shown)))


def _summarise(found: Sequence[linting.Finding], files: int) -> None:
    counted = f"{files} rule file{'s' * (files != 1)}"
    errors = sum(finding.severity == "error" for finding in found)
    warnings = len(found) - errors
    told = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((errors, "error"), (warnings, "warning")) if count
    ]
    print_notes([f"{counted}: {', '.join(told) or 'nothing found'}"])


def _list_codes() -> None:
    table = Table(Column("code", no_wrap=True), "severity", "what it means", box=None, header_style="dim")
    for code, (severity, meaning) in linting.CODES.items():
        table.add_row(code, severity, meaning)
    console().print(table)
