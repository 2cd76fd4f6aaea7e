"""Secrets from files that nobody else may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sockwarden.errors import InputError

MOST_BYTES = 4096
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would hold the caller until somebody writes
_ROOTS = 0


def read_secret(path: Path) -> str:
    """The one line of a file. InputError, which never quotes it, where the file cannot be read, where others than its
    owner may read or change it, or where it holds no line of printable ASCII.
    """
    try:
        with open(os.open(path, _FLAGS), "rb") as file:  # noqa: PTH123 - of a descriptor
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError("not a regular file", where=str(path), todo="Name a file with the secret alone.")
            _refuse_foreign(path, status)
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        todo = "Name a file that is there and can be read by the user that sockwarden runs as."
        raise InputError("cannot read the secret", where=str(path), why=why, todo=todo) from None
    text = content.decode("latin-1").strip("\r\n")
    if not text or len(content) > MOST_BYTES or not (text.isascii() and text.isprintable()):
        raise InputError(
            "no secret in the file",
            where=str(path),
            why=f"it must hold one line of printable ASCII, at most {MOST_BYTES} bytes",
        )
    return text


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    by_group = stat.S_IRWXG if status.st_gid != _ROOTS else stat.S_IWGRP | stat.S_IXGRP
    if status.st_mode & (stat.S_IRWXO | by_group) or status.st_uid not in (_ROOTS, os.geteuid()):
        raise InputError(
            "refused: others may read or change the secret",
            where=str(path),
            why=f"it belongs to uid {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}",
            todo=f"Run: chown {os.geteuid()} {path} && chmod 0600 {path}\nAnd make a new secret: this one was open.",
        )
