"""Changes of the folders that hold runtime sockets, by inotify(7), so that discovery need not wait for its turn.

Watched is every folder on the way to a socket, as far as it exists, for the next name on the way only. A mount over
such a folder makes no event; the regular discovery finds what it hides or shows. A rename of a socket that was found,
or of a folder above it, is told even where it was taken back before anybody could look.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator

from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.sockets import places
from sockwarden.sockets.catalogue import pattern_of
from sockwarden.sockets.inventory import Inventory
from sockwarden.sockets.live import LiveSocket

_ATTRIB = 0x4
_MOVED_FROM = 0x40
_OF_NAMES = _MOVED_FROM | 0x80 | 0x100 | 0x200
"""IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE of include/uapi/linux/inotify.h."""
_OF_SELF = 0x400 | 0x800
"""IN_DELETE_SELF, IN_MOVE_SELF."""
_UNMOUNT = 0x2000
_OVERFLOW = 0x4000
_IGNORED = 0x8000
_ONLY_FOLDERS = 0x01000000
_EVENT = struct.Struct("=iIII")
"""struct inotify_event: watch, mask, cookie, length of the name that follows."""

_BUFFER = 1 << 16
_MOST_READS = 64
"""Buffers read in one go: whoever makes events faster than that must not keep us from all else."""
_MOST_ROUNDS = 8
"""A folder that appears while another is being watched is looked for again, so many times."""
_MOST_FOLDERS = 4096
_MOST_TROUBLES = 16
_SILENT_SECONDS = 60.0
"""After a rename of a socket was told: whose it is may rename it as often as he likes."""

_libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """Tells when runtime sockets may have come, gone or changed. `read` when `fileno` is readable.

    unwatched  folders that the system would not watch any more (fs.inotify.max_user_watches)
    """

    def __init__(self) -> None:
        self._globs: list[list[str]] = []
        self._live: dict[str, LiveSocket] = {}
        self._added = False
        self._watches: dict[int, set[str]] = {}
        self._leading: dict[int, dict[str, list[str]]] = {}
        self._told: dict[str, float] = {}
        self._troubles: list[Trouble] = []
        self.unwatched = 0
        self._descriptor: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise InputError(
                "changes of folders cannot be watched",
                where="inotify",
                why=os.strerror(ctypes.get_errno()),
                todo="Raise fs.inotify.max_user_instances (sysctl), or end programs that hold many.",
            )

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._descriptor

    def follow(self, inventory: Inventory) -> None:
        """Watches where the catalogue's sockets may come, and where those are that were found. Where that adds a
        folder, the next `read` says that something changed: what happened there before was not seen.
        """
        self._globs = [glob.split("/")[1:] for glob in inventory.catalogue.paths]
        self._live = {live.path: live for live in inventory.live() if live.path}
        self._added |= self._place_all()

    def read(self) -> bool:
        """Whether anything of interest happened since the last call. Never blocks."""
        changed, self._added = self._added, False
        for _ in range(_MOST_READS):
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                break
            for event in _events(data):
                changed |= self._matters(*event)
        if changed:
            self._place_all()
        return changed

    def troubles(self) -> list[Trouble]:
        """Renames of sockets that were found, since this was asked last; of each at most one a minute."""
        troubles, self._troubles = self._troubles, []
        return troubles

    def close(self) -> None:
        """Ends the watches."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _matters(self, watch: int, mask: int, name: str) -> bool:
        if mask & _MOVED_FROM:
            for path in self._leading.get(watch, {}).get(name, ()):
                self._tell(path)
        if mask & _IGNORED:
            self._watches.pop(watch, None)
            self._leading.pop(watch, None)
        if mask & (_OVERFLOW | _OF_SELF | _UNMOUNT):
            return True
        return bool(name) and any(_fits(pattern, name) for pattern in self._watches.get(watch, ()))

    def _tell(self, path: str) -> None:
        """A daemon never renames its socket. Accesses by the new name were unseen until discovery came, or are."""
        live, now = self._live[path], time.monotonic()
        self._told = {address: since for address, since in self._told.items() if now < since + _SILENT_SECONDS}
        if live.socket.address in self._told or len(self._troubles) >= _MOST_TROUBLES:
            return
        self._told[live.socket.address] = now
        message = (
            f"The {live.socket.name} socket at {path}, or a folder above it, was renamed: accesses by the new name go "
            "unseen until it is found there. Find out who did that; no daemon does."
        )
        self._troubles.append(Trouble("socket-out-of-sight", message, f"{live.socket.address} renamed"))

    def _place_all(self) -> bool:
        """Watches what exists now, until nothing new appears. Says whether a folder was added."""
        added = False
        for _ in range(_MOST_ROUNDS):
            if not self._place():
                return added
            added = True
        return added

    def _place(self) -> bool:
        watches: dict[int, set[str]] = {}
        leading: dict[int, dict[str, list[str]]] = {}
        self.unwatched = 0
        ways = self._ways()
        for folder, names in self._folders(ways).items():
            watch = _libc.inotify_add_watch(
                self._descriptor, os.fsencode(folder), _ATTRIB | _OF_NAMES | _OF_SELF | _ONLY_FOLDERS
            )
            if watch >= 0:
                # Two names of one folder have one watch.
                watches.setdefault(watch, set()).update(names)
                leading.setdefault(watch, {}).update(ways.get(folder, {}))
            elif places.is_folder(folder):
                self.unwatched += 1
        for watch in self._watches.keys() - watches.keys():
            _libc.inotify_rm_watch(self._descriptor, watch)
        added = not watches.keys() <= self._watches.keys()
        self._watches, self._leading = watches, leading
        return added

    def _ways(self) -> dict[str, dict[str, list[str]]]:
        """The folders on the way to the sockets that were found: each name in them that leads to one, and to which."""
        ways: dict[str, dict[str, list[str]]] = {}
        for path in self._live:
            way = path
            # A folder that only its process has ends with that.
            while way.strip("/") and not (way != path and path.startswith("/proc/")):
                folder, name = os.path.split(way)
                ways.setdefault(folder, {}).setdefault(name, []).append(path)
                way = folder
        return ways

    def _folders(self, ways: dict[str, dict[str, list[str]]]) -> dict[str, set[str]]:
        """The folders that exist, each with the names in it that lead on."""
        folders = {folder: set(names) for folder, names in ways.items()}
        mounts = places.Mounts()
        for segments in self._globs:
            here = [""]
            for number, segment in enumerate(segments):
                for folder in here:
                    folders.setdefault(folder or "/", set()).add(segment)
                if number < len(segments) - 1 and len(folders) < _MOST_FOLDERS:
                    paths = (f"{folder}/{name}" for folder in here for name in _names(folder, segment, mounts))
                    here = [path for path in paths if not mounts.slow(path) and places.is_folder(path)]
                else:
                    break
        return folders


def _names(folder: str, segment: str, mounts: places.Mounts) -> list[str]:
    if "*" not in segment:
        return [segment]
    return [name for name in places.names_in(folder, mounts) if _fits(segment, name)]


def _fits(pattern: str, name: str) -> bool:
    return pattern == name or ("*" in pattern and pattern_of(pattern).fullmatch(name) is not None)


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    at = 0
    while at + _EVENT.size <= len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield watch, mask, os.fsdecode(data[at : at + length].partition(b"\0")[0])
        at += length
