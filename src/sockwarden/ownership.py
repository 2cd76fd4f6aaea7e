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
    folder = path.resolve().parent
    for place, found, above in ((path, status, False), (folder, folder.stat(), True)):
        kept = above and found.st_mode & stat.S_ISVTX  # in a sticky folder nobody replaces a file of root's
        by_group = found.st_mode & stat.S_IWGRP and found.st_gid != 0
        if found.st_uid != 0 or ((found.st_mode & stat.S_IWOTH or by_group) and not kept):
            raise error(
                f"refused: others than root may change {what}",
                where=str(path),
                why=f"{place} belongs to uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}",
                todo=f"Run: chown root:root {place} && chmod go-w {place}",
            )
