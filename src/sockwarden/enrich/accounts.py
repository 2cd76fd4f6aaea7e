"""Names of users and groups of the host, from /etc/passwd and /etc/group themselves: NSS may ask a network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_MOST_BYTES = 4 << 20


class Names(NamedTuple):
    """Names of users and of groups by number, as text. Not to be changed."""

    users: Mapping[str, str]
    groups: Mapping[str, str]


class Accounts:
    """Names by number, as text; read again when the file has changed."""

    def __init__(self, folder: Path = Path("/etc")) -> None:
        self._users = _File(folder / "passwd")
        self._groups = _File(folder / "group")

    def names(self) -> Names:
        """All of both, as the files are now."""
        return Names(self._users.now(), self._groups.now())

    def user(self, number: str) -> str | None:
        """The name of a user id; None where the file has none."""
        return self._users.now().get(number)

    def group(self, number: str) -> str | None:
        """The name of a group id; None where the file has none."""
        return self._groups.now().get(number)


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._names: dict[str, str] = {}

    def now(self) -> Mapping[str, str]:
        """Names by number; none while the file cannot be read."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - for each access
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if version != self._version:
                self._names, self._version = self._read(), version
        except OSError:
            return {}
        return self._names

    def _read(self) -> dict[str, str]:
        with self._path.open("rb") as stream:
            text = stream.read(_MOST_BYTES).decode("utf-8", "backslashreplace")
        rows = [row.split(":", 3) for row in text.split("\n")]
        # Of several names for one number the first counts, as in the C library.
        return {row[2]: row[0] for row in reversed(rows) if len(row) > 3}
