"""What a name leads to that a failed call was given: the kernel tells the name, and no file.

It is looked up a moment later, as its process saw it where that still runs, else from here where it saw what we see.
What has changed meanwhile is missed.
"""

from __future__ import annotations

import os
import stat

from sockwarden.sensors.ebpf.records import Record
from sockwarden.sockets.places import Mounts

_MOST_LINKS = 40
"""Symlinks on the way: MAXSYMLINKS (include/linux/namei.h)."""


def file_of(record: Record, own_mounts: int) -> tuple[str, int] | None:
    """Device (as audit prints it) and inode of the socket file; None where there is none or it cannot be told."""
    name = path_given(record)
    if not name:
        return None
    path = os.path.join(os.fsencode(record.directory or "/"), name)  # noqa: PTH118 - bytes
    if not path.startswith(b"/"):
        return None
    mounts = Mounts()
    for process in _views(record, own_mounts):
        found = _follow(os.fsdecode(path), process, mounts)
        if found:
            return found
    return None


def path_given(record: Record) -> bytes:
    """The path as given; empty for a name that is none."""
    if record.action == 1:
        name = record.given[2:]
        return b"" if name.startswith(b"\0") else name.partition(b"\0")[0]
    return record.given.partition(b"\0")[0]


def _views(record: Record, own_mounts: int) -> list[int | None]:
    """By whose eyes: the process's own, then ours where they are the same."""
    views: list[int | None] = [record.who.pid] if record.who.mount_ns != own_mounts else []
    return [*views, None] if record.who.mount_ns == own_mounts else views


def _follow(path: str, pid: int | None, mounts: Mounts) -> tuple[str, int] | None:
    root, process = ("", "self") if pid is None else (f"/proc/{pid}/root", pid)
    if mounts.slow(path, process):
        return None
    way, rest, links = "", path.split("/")[1:], 0
    try:
        while rest:
            part = rest.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                way = way.rpartition("/")[0]
                continue
            here = f"{way}/{part}"
            if mounts.slow(here, process):
                return None
            status = os.lstat(root + here)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                target = os.readlink(root + here)  # noqa: PTH115 - as lstat
                if links > _MOST_LINKS:
                    return None
                rest = target.split("/") + rest
                way = "" if target.startswith("/") else way
                continue
            way = here
        status = os.lstat(root + way)
        if stat.S_ISSOCK(status.st_mode):
            return mounts.device(root + way, process), status.st_ino
    except (OSError, ValueError):
        return None
    return None
