"""What a run leaves where the next one finds it: the lock that only one holds, and what it changed in the kernel.

RUNTIME/lock         flock(2) for as long as a watch runs; holds its pid
RUNTIME/audit.json   Changes; its mtime says when that watch was last seen alive
RUNTIME/enabled.json Enabled; kept when a watch ends, since processes that started later are not blind
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from sockwarden.errors import InputError

DEFAULT = Path("/run/sockwarden")


class Changes(msgspec.Struct, frozen=True):
    """What a run changed in audit's status, written down before it is changed.

    boot_id      the boot that it holds for
    pid          of the run
    auditd       pid of the auditd that owned audit before; 0: none
    enabled_at   when audit was first switched on, in seconds of CLOCK_BOOTTIME; None: others did, before any watch
    before       members of audit's status as found
    ours         the same members as set by us
    """

    boot_id: str
    pid: int
    auditd: int
    enabled_at: float | None
    before: dict[str, int]
    ours: dict[str, int]


class Enabled(msgspec.Struct, frozen=True):
    """When a watch first switched audit on in this boot, in seconds of CLOCK_BOOTTIME."""

    boot_id: str
    enabled_at: float


_Form = TypeVar("_Form", Changes, Enabled)


class Runtime:
    """The runtime folder. InputError where it cannot be used or another watch holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None
        self._file = folder / "audit.json"
        self._enabled = folder / "enabled.json"

    def lock(self) -> None:
        """Makes the folder, for root alone, and takes the lock."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise InputError(
                    "the runtime folder is not ours alone",
                    where=str(self.folder),
                    why="whoever can write there could make the watch restore a status of their choice",
                    todo="make it a folder owned by root with mode 0700, or choose another",
                )
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise InputError(
                f"the runtime folder cannot be used: {error.strerror}",
                where=str(self.folder),
                todo="make it writable for root, or choose another",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise InputError(
                f"a watch is already running (pid {holder or 'unknown'})",
                where=str(self.folder / "lock"),
                todo="stop that one first; two would restore each other's audit status",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Gives the lock back. The file stays: to remove it would let two hold a lock of that name."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def read(self) -> Changes | None:
        """What an earlier run of this boot has not put back; None where there is nothing of the kind."""
        return _of_this_boot(self._file, Changes)

    def enabled_at(self) -> float | None:
        """When a watch first switched audit on in this boot; None where none has."""
        found = _of_this_boot(self._enabled, Enabled)
        return found.enabled_at if found else None

    def seen_alive(self) -> float | None:
        """When the run that wrote audit.json was last seen alive, in seconds since the epoch."""
        try:
            return self._file.stat().st_mtime
        except OSError:
            return None

    def write(self, changes: Changes) -> None:
        """Writes both files, each in one step. InputError where that is not possible."""
        try:
            _replace(self._file, changes)
            if changes.enabled_at is not None:
                _replace(self._enabled, Enabled(changes.boot_id, changes.enabled_at))
        except OSError as error:
            raise InputError(
                f"audit's status cannot be written down: {error.strerror}",
                where=str(self._file),
                why="without that a killed run could not be cleaned up after, so nothing has been changed",
                todo="make room there, or choose another runtime folder",
            ) from None

    def alive(self) -> None:
        """Marks the time."""
        with suppress(OSError):
            os.utime(self._file)

    def clear(self) -> None:
        """Forgets the changes: they have been put back."""
        self._file.unlink(missing_ok=True)


def _of_this_boot(file: Path, form: type[_Form]) -> _Form | None:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=form)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.boot_id == boot_id() else None


def _replace(file: Path, content: Changes | Enabled) -> None:
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as opened:
        opened.write(msgspec.json.encode(content))
    draft.replace(file)


def boot_id() -> str:
    """Which boot this is (proc(5), /proc/sys/kernel/random/boot_id); empty where /proc does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
