"""Consoles, and how errors and the end of a hunt are told."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_WIDTH_OF_FILE = 160
"""Columns of a table that goes into a file or a pipe."""


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no highlighting, colours on a terminal only."""
    out = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = _WIDTH_OF_FILE
    return out


def print_error(message: str) -> None:
    """An error on standard error: its first line marked, the rest below it, everything escaped."""
    first, *rest = message.split("\n")
    out = console(stderr=True)
    put(out, Text("error: ", style="bold red").append(escape(first), style="not bold default"))
    for line in rest:
        put(out, Text("  " + escape(line)))


def print_notes(notes: Iterable[str]) -> None:
    """Lines on standard error that are not errors."""
    out = console(stderr=True)
    for note in notes:
        put(out, Text(note, style="dim"))


def write_line(data: bytes) -> None:
    """One line of bytes on standard output."""
    sys.stdout.buffer.write(data + b"\n")
