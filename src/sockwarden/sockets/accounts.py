"""Who of the host's users may connect to a socket file: write to the file itself and search each folder above it
(unix(7), path_resolution(7)). Users are read from /etc/passwd and /etc/group, since NSS may ask a network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import msgspec

from sockwarden.sockets.live import LiveSocket
from sockwarden.sockets.processes import read_file

_ACL = "system.posix_acl_access"
_SEARCH, _WRITE = 1, 2
_ID = re.compile("[0-9]{1,10}")


class Chain(msgspec.Struct):
    """The way to a socket file: its folders from the root down, each with its status, and which of all have an ACL."""

    folders: list[tuple[str, os.stat_result]]
    socket: os.stat_result
    with_acl: list[str]

    def admits(self, uid: int | None, gids: Collection[int]) -> bool:
        """Whether a user with these groups may connect; None is a user who owns nothing."""
        steps = [(status, _SEARCH) for _, status in self.folders] + [(self.socket, _WRITE)]
        return uid == 0 or all(_may(status, uid, gids, bit) for status, bit in steps)


def chain_of(path: str) -> Chain | None:
    """The way to a socket file by a path without symlinks; None where it cannot be followed."""
    try:
        folders = [(str(folder), os.lstat(folder)) for folder in reversed(PurePosixPath(path).parents)]
        chain = Chain(folders, os.lstat(path), [])
    except OSError:
        return None
    chain.with_acl = [one for one in (path, *(folder for folder, _ in folders)) if _has_acl(one)]
    return chain


class Accounts:
    """The users and groups of this host."""

    def __init__(self) -> None:
        self._groups = {gid: row[0] for row in _rows("/etc/group") if (gid := id_of(row[2])) is not None}
        self._users: dict[str, tuple[int, set[int]]] = {}
        for row in _rows("/etc/passwd"):
            uid, gid = id_of(row[2]), id_of(row[3])
            if uid is not None and gid is not None:
                self._users[row[0]] = (uid, {gid})
        for row in _rows("/etc/group"):
            gid = id_of(row[2])
            for member in row[3].split(","):
                if gid is not None and member in self._users:
                    self._users[member][1].add(gid)

    def users(self, chain: Chain) -> tuple[str, ...]:
        """The users other than root who may connect."""
        return tuple(name for name, (uid, gids) in self._users.items() if uid and chain.admits(uid, gids))

    def groups(self, chain: Chain) -> tuple[str, ...]:
        """The groups to belong to which suffices."""
        owning = {status.st_gid for _, status in chain.folders} | {chain.socket.st_gid}
        admitted = (gid for gid in sorted(owning) if chain.admits(None, {gid}))
        return tuple(self._groups.get(gid, str(gid)) for gid in admitted)


def owner_of(live: LiveSocket) -> str:
    """`user:group` of a socket file, numbers where these have no name."""
    return f"{_name('/etc/passwd', live.uid)}:{_name('/etc/group', live.gid)}"


def _name(path: str, number: int) -> str:
    return next((row[0] for row in _rows(path) if row[2] == str(number)), str(number))


def id_of(text: str) -> int | None:
    """A uid or gid of 32 bits; None for what is none."""
    return int(text) if _ID.fullmatch(text) else None


def _may(status: os.stat_result, uid: int | None, gids: Collection[int], bit: int) -> bool:
    """The kernel takes the first class that fits, also where it allows less than the next (inode(7))."""
    shift = 6 if status.st_uid == uid else 3 if status.st_gid in gids else 0
    return bool(status.st_mode >> shift & bit)


def _rows(path: str) -> Iterator[list[str]]:
    for line in read_file(path).decode("utf-8", "backslashreplace").split("\n"):
        row = line.split(":")
        if len(row) >= 4 and not line.startswith("#"):
            yield row


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACL, follow_symlinks=False))
    except OSError:
        return False
