"""Consoles, and how errors and the end of a hunt are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from sockwarden.sinks import escape

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_FILE = 160
"""Columns of a table that goes into a file or a pipe."""
# What prints for people takes a while to load, and into a file or a pipe the text goes as it is.


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no highlighting, colours on a terminal only."""
    from rich.console import Console  # noqa: PLC0415

    out = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = _WIDTH_OF_FILE
    return out


def is_terminal(stream: TextIO) -> bool:
    """Whether a person may look at it, or wants it as if."""
    return stream.isatty() or any(name in os.environ for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))


def print_error(message: str) -> None:
    """An error on standard error: its first line marked, the rest below it, everything escaped."""
    first, *rest = message.split("\n")
    _print([(("error: ", "bold red"), (escape(first), ""))] + [(("  " + escape(line), ""),) for line in rest])


def print_notes(notes: Iterable[str]) -> None:
    """Lines on standard error that are not errors."""
    _print([((note, "dim"),) for note in notes])


def _print(lines: Iterable[tuple[tuple[str, str], ...]]) -> None:
    """Lines of texts, each with its style."""
    if not is_terminal(sys.stderr):
        sys.stderr.writelines("".join(text for text, _ in line) + "\n" for line in lines)
        return
    from rich.text import Text  # noqa: PLC0415

    from sockwarden.sinks.terminal import put  # noqa: PLC0415

    out = console(stderr=True)
    for line in lines:
        put(out, Text.assemble(*line))


def write_line(data: bytes) -> None:
    """One line of bytes on standard output."""
    sys.stdout.buffer.write(data + b"\n")
