"""Who could give a cgroup its name: root, or a user to whom systemd delegated a part of the tree (cgroups(7))."""

from __future__ import annotations

import re
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OF_USER = re.compile(r"user@([0-9]+)\.service|user-([0-9]+)\.slice")


def made_by_root(above: str) -> bool:
    """Whether only root can have made cgroups in this one, given as a line of /proc/PID/cgroup: no part of the path is
    a user's by systemd's names, and the folder is root's alone. False where it cannot be told.
    """
    _, controllers, path = above.split(":", 2) if above.count(":") > 1 else ("", "", above)
    parts = path.strip("/").split("/")
    owners = [match[1] or match[2] for match in map(_OF_USER.fullmatch, parts) if match]
    if ".." in parts or any(owner.strip("0") for owner in owners):
        return False
    folders = [controllers.removeprefix("name=")] if controllers else ["unified", "."]
    for folder in folders:
        try:
            status = _CGROUPS.joinpath(folder, *parts).stat()
        except (OSError, ValueError):
            continue
        return status.st_uid == 0 and not status.st_mode & 0o022
    return False
