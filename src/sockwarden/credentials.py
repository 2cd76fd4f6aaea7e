"""Secrets from files that nobody else may read, addresses that are secrets, and whom a TLS connection trusts."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from urllib.parse import urlsplit

from sockwarden.errors import InputError

MOST_BYTES = 4096
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would hold the caller until somebody writes
_ROOTS = 0


def read_secret(path: Path, what: str = "the secret") -> str:
    """The one line of a file; `what` names it in errors.

    InputError, which never quotes it, where the file cannot be read, where others than its owner may read or change it,
    or where it holds no line of printable ASCII.
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
        raise InputError(f"{what} cannot be read", where=str(path), why=why, todo=todo) from None
    text = content.decode("latin-1").strip("\r\n")
    if not text or len(content) > MOST_BYTES or not (text.isascii() and text.isprintable()):
        raise InputError(
            f"{what} cannot be used: no secret in the file",
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


def trust(ca_file: str) -> ssl.SSLContext:
    """Trusts the system's authorities, or those in a PEM file alone. InputError where it cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else str(error)
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            why = error.strerror or why
        todo = "Name a PEM file with the certificates of the authorities to trust."
        raise InputError("ca_file cannot be used", where=ca_file, why=why, todo=todo) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def masked(url: str) -> str:
    """The address without what may be a secret: only scheme, host and port."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…"
