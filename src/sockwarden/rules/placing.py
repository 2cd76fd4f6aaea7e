"""Files put into a rules folder: whole or not at all, and never where a link points."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from sockwarden.errors import InputError

_OTHER = re.compile(r"[^a-z0-9]+")


def file_stem(name: str) -> str:
    """A file's name for a name: small letters, digits and hyphens."""
    return _OTHER.sub("-", name.lower()).strip("-")[:80] or "unnamed"


def place(path: Path, text: str) -> None:
    """Writes a file in one step, making its folder. InputError when it cannot. A link of that name is replaced, not
    followed; a folder that is a link is refused.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(path, error) from None
    passing = f".{path.name[:100]}.{secrets.token_hex(8)}"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(passing, flags, 0o644, dir_fd=folder), "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(passing, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        with suppress(FileNotFoundError):
            os.unlink(passing, dir_fd=folder)
        raise _cannot(path, error) from None
    finally:
        os.close(folder)


def _cannot(path: Path, error: OSError) -> InputError:
    return InputError("cannot write into the rules folder", where=str(path), why=error.strerror or str(error))
