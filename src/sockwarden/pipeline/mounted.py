"""What of the host a mount's source really is: the daemon follows symlinks, and a socket may have other names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sockwarden.sockets.inventory import Inventory
from sockwarden.sockets.places import Mounts, below

_MOST_SOURCES = 64
_MOST_NAMES = 8
_MOST_LINKS = 40
"""include/linux/namei.h: MAXSYMLINKS."""
_MOST_SEGMENTS = 256


def places_of(sources: Iterable[str], inventory: Inventory) -> list[str]:
    """The sources as they were asked for, then what else they are: where they lead to, the host's root under another
    name, and the canonical paths of runtime sockets that they are or hold. Nothing is waited for: what a server of
    somebody else's would answer stays as it was asked for.
    """
    asked = [source for source in sources if source.startswith("/")]
    mounts = Mounts()
    found = dict.fromkeys(asked)
    for source in asked[:_MOST_SOURCES]:
        place = _followed(source, mounts)
        found[place] = None
        if mounts.slow(place):
            continue
        if _is_root(place):
            found["/"] = None
        if disk := _disk(place):
            found[disk] = None
        found |= dict.fromkeys(_sockets(place, inventory, mounts))
    return list(found)


def devices_of(devices: Iterable[str]) -> list[str]:
    """Devices as they were asked for, "host:container:permissions", then what else those of the host are."""
    asked = list(devices)
    mounts = Mounts()
    found = dict.fromkeys(asked)
    for device in asked[:_MOST_SOURCES]:
        parts = device.split(":")
        for count in range(1, min(len(parts), _MOST_NAMES) + 1) if device.startswith("/") else ():
            place = _followed(":".join(parts[:count]), mounts)
            if place not in found and device != place and not device.startswith(f"{place}:"):
                found[place] = None
            if not mounts.slow(place) and (disk := _disk(place)):
                found[disk] = None
    return list(found)


def _disk(path: str) -> str:
    """A disk by its number, as /dev/block has it; empty for anything else. Whoever makes nodes names them at will."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return ""
    number = status.st_rdev
    return f"/dev/block/{os.major(number)}:{os.minor(number)}" if stat.S_ISBLK(status.st_mode) else ""


def _followed(path: str, mounts: Mounts) -> str:
    """A path without symlinks, as far as it is there."""
    links, way = 0, ""
    rest = path.split("/")[:0:-1]
    for _ in range(_MOST_SEGMENTS):
        if not rest:
            return way or "/"
        segment = rest.pop()
        if segment in ("", "."):
            continue
        if segment == "..":
            way = way.rpartition("/")[0]
            continue
        here = f"{way}/{segment}"
        if mounts.slow(here):
            return "/".join([here, *reversed(rest)])
        try:
            target = os.readlink(here)  # noqa: PTH115 - what the link says, not a path made of it
        except (OSError, ValueError):
            way = here
            continue
        links += 1
        if links > _MOST_LINKS:
            return path
        way = "" if target.startswith("/") else way
        rest += target.split("/")[::-1]
    return path


def _is_root(path: str) -> bool:
    try:
        return Path(path).samefile("/")
    except (OSError, ValueError):
        return False


def _sockets(path: str, inventory: Inventory, mounts: Mounts) -> Iterable[str]:
    live = [each for each in inventory.live() if each.path]
    for each in live:
        if path != "/" and below(str(each.path), path):
            yield each.socket.address
    try:
        status = os.lstat(path)
        if stat.S_ISSOCK(status.st_mode):
            device = mounts.device(path)
            yield from (each.socket.address for each in live if (each.device, each.inode) == (device, status.st_ino))
    except (OSError, ValueError):
        return
