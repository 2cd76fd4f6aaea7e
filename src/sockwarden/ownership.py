"""Whether root may do what a file says: only when nobody else can change it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sockwarden.errors import InputError


def refuse_foreign(
    path: Path, status: os.stat_result, *, what: str = "the configuration", error: type[InputError] = InputError
) -> None:
    """Raises where others than root can write the file or folder, or put another in its place: they would decide what
    root does. Nothing of it matters to another user's process.
    """
    if os.geteuid() != 0:
        return
    # Whoever made a symbolic link, or can replace it in its folder, chooses what is read.
    places = [(path, status), (path, path.lstat())]
    places += ((folder, folder.stat()) for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)))
    for place, found in places:
        # Nobody changes a link; in a sticky folder nobody replaces what is root's.
        kept = stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX)
        by_group = found.st_mode & stat.S_IWGRP and found.st_gid != 0
        if found.st_uid != 0 or ((found.st_mode & stat.S_IWOTH or by_group) and not kept):
            raise error(
                f"refused: others than root may change {what}",
                where=str(path),
                why=f"{place} belongs to uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}",
                todo=f"Run: chown root:root {place} && chmod go-w {place}",
            )
