"""What keeps SQLite from reading or writing, told so that a person can mend it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from sockwarden.errors import InputError

_BY_CODE = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free space on the store's file system, or lower [retention] size."),
    sqlite3.SQLITE_READONLY: (
        "it may not be written",
        "Run as its owner, make file, folder and file system writable, or name another with --state.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process holds it locked",
        "End what holds it (`fuser -v FILE` names it), or wait for it.",
    ),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "Move the file and its -wal and -shm away; a new one is begun then."),
    sqlite3.SQLITE_IOERR: (
        "its disk does not read or write",
        "Look at `dmesg` and the free space; then move the store, or name another with --state.",
    ),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that folder and file exist and belong to you."),
}
_BY_CODE[sqlite3.SQLITE_LOCKED] = _BY_CODE[sqlite3.SQLITE_BUSY]
_BY_CODE[sqlite3.SQLITE_NOTADB] = _BY_CODE[sqlite3.SQLITE_CORRUPT]
_BY_CODE[sqlite3.SQLITE_PERM] = _BY_CODE[sqlite3.SQLITE_READONLY]

_BY_ERRNO = {
    errno.ENOSPC: _BY_CODE[sqlite3.SQLITE_FULL],
    errno.EDQUOT: _BY_CODE[sqlite3.SQLITE_FULL],
    errno.EACCES: _BY_CODE[sqlite3.SQLITE_READONLY],
    errno.EROFS: _BY_CODE[sqlite3.SQLITE_READONLY],
    errno.EIO: _BY_CODE[sqlite3.SQLITE_IOERR],
    errno.ELOOP: ("a symbolic link is in its place", "Remove the link, or name another folder with --state."),
}
_TODO = "Check the folder's owner and free space, move a damaged file away, or name another with --state."


def failure(path: Path, error: Exception) -> InputError:
    """The error for a store at this path."""
    reason, todo = "", _TODO
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind, the rest its particulars: https://www.sqlite.org/rescode.html
        reason, todo = _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, (reason, todo))
    elif isinstance(error, OSError):
        reason, todo = _BY_ERRNO.get(error.errno or 0, (reason, todo))
    why = f"{reason} ({error})" if reason else str(error)
    return InputError("the store cannot be used", where=str(path), why=why, todo=todo)
