"""Files of rules and exceptions as text and as TOML, hostile ones refused with a reason."""

from __future__ import annotations

import io
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from sockwarden.errors import RuleError
from sockwarden.ownership import refuse_foreign
from sockwarden.rules.report import Flaw, refusal, toml_flaw
from sockwarden.toml_positions import KeyPath, Span, TooComplexError, positions

MAX_BYTES = 1 << 20
"""The largest rule file that is read; published rules stay below a tenth of it."""


def read_text(path: Path, *, what: str = "rule", owned: bool = False) -> str:
    """A file's text. RuleError when there is none: not a regular file, too large, not UTF-8.

    owned: as root, also when others than root may change it
    """
    content = read_bytes(path, MAX_BYTES, what=what, owned=owned)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleError(
            "not a text in UTF-8, as TOML must be", where=str(path), why=f"line {line}: {error.reason}"
        ) from None


def read_bytes(path: Path, most: int, *, what: str, owned: bool) -> bytes:
    """A file's content, of no more than so many bytes. RuleError as `read_text`."""
    try:
        with io.BufferedReader(io.FileIO(path, opener=_open_without_waiting)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RuleError("not a regular file", where=str(path), todo=f"Name a {what}'s file.")
            if owned:
                refuse_foreign(path, status, what=f"the {what}", error=RuleError)
            content = file.read(most + 1) or b""  # None: a file of /proc that has nothing to say yet
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RuleError(f"cannot read the {what}", where=str(path), why=why) from None
    if len(content) > most:
        raise too_large(str(path), what, most)
    return content


def parse_toml(text: str, origin: str, what: str = "rule") -> tuple[dict[KeyPath, Span], dict[str, Any]]:
    """The places and the values of a TOML text whose line ends are `\\n`. RuleError with line and caret."""
    try:
        spans = positions(text)
    except TooComplexError as error:
        raise refusal(origin, text, [Flaw(error.offset, str(error))], what) from None
    try:
        return spans, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refusal(origin, text, [toml_flaw(text, spans, error)], what) from None


def too_large(origin: str, what: str = "rule", most: int = MAX_BYTES) -> RuleError:
    """The error of a file that is not read to its end."""
    return RuleError(f"too large for a {what}", where=origin, why=f"such a file holds at most {most} bytes")


def _open_without_waiting(path: str, flags: int) -> int:
    """A FIFO would hold the caller until somebody writes."""
    return os.open(path, flags | os.O_NONBLOCK)
