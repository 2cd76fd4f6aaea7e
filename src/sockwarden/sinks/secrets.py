"""Addresses and files that are secrets, and whom a TLS connection trusts."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from sockwarden.errors import InputError


def masked(url: str) -> str:
    """The address without what may be a secret: only scheme, host and port."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…"


def trust(ca_file: str) -> ssl.SSLContext:
    """Trusts the system's authorities, or those in a PEM file alone. InputError where it cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        todo = "Name a file with the certificates of the authorities to trust."
        raise InputError("ca_file cannot be used", where=ca_file, why=why, todo=todo) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_secret(path: str, what: str) -> str:
    """The first line of a file of at most 64 KiB. InputError where there is none."""
    todo = "Write it into that file, on one line, readable by root alone."
    try:
        with Path(path).open("rb") as file:
            text = file.read(1 << 16).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InputError(f"{what} cannot be read", where=path, why=why, todo=todo) from None
    if not text or not text.isprintable():
        why = "it is empty" if not text else "it holds more than one line, or what does not print"
        raise InputError(f"{what} cannot be used", where=path, why=why, todo=todo)
    return text
