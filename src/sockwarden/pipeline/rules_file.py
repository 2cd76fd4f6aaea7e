"""The file of permanent audit rules in the folder of who loads it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sockwarden.errors import InputError

FILES = {
    "auditd": Path("/etc/audit/rules.d/50-sockwarden.rules"),
    "auditbeat": Path("/etc/auditbeat/audit.rules.d/sockwarden.conf"),
}
"""Where auditd's augenrules(8) and Auditbeat's `audit_rule_files` look. The number puts it before 99-finalize.rules,
which locks audit on hardened hosts.
"""
_MOST = 1 << 20


def path_in(reader: str, folder: str | None) -> Path:
    """The file, in the reader's own folder or another. InputError where the folder is not there."""
    path = Path(folder) / FILES[reader].name if folder else FILES[reader]
    if os.path.isdir(path.parent):  # noqa: PTH112 - Path.is_dir raises where we may not look
        return path
    if folder:
        raise InputError(
            "there is no such folder, or it cannot be looked into",
            where=folder,
            todo="Make it, or name another with --folder.",
        )
    name = "auditd" if reader == "auditd" else "Auditbeat"
    raise InputError(
        f"{name} is not set up here",
        where=str(path.parent),
        why="its folder of rules is not there, so nothing would load them",
        todo=f"Install {name}, name its folder with --folder, or see `sockwarden setup audit print --for {reader}`.",
    )


def content(path: Path) -> str | None:
    """What the file says now; None where it is not there."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failure("cannot be read", path, error) from None


def write(path: Path, text: str) -> None:
    """Replaces the file as a whole, readable by root's group at most."""
    new = path.with_name(f".{path.name}.new")
    try:
        with suppress(FileNotFoundError):
            new.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, 0o640), "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise _failure("cannot be written", path, error) from None


def remove(path: Path) -> bool:
    """Deletes the file; whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _failure("cannot be deleted", path, error) from None
    return True


def _failure(what: str, path: Path, error: OSError) -> InputError:
    todo = "Run it as root, with sudo." if os.geteuid() else "Check the file system: is it mounted read-only, or full?"
    return InputError(f"the file of rules {what}", where=str(path), why=error.strerror or str(error), todo=todo)
