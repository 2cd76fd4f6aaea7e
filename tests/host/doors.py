"""A runtime's socket for tests: a listener of theirs where the catalogue knows one, and who knocks at it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from runtimes import run

FOLDER = Path("/run/user/sockwarden-watch")
"""A folder whose docker.sock the catalogue knows, as a rootless daemon's."""
ADDRESS = FOLDER / "docker.sock"


class Door:
    """A listener at ADDRESS, and the client that knocks."""

    def __init__(self, client: Path) -> None:
        self.client = client
        self.open()

    def open(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(ADDRESS))
        self._listener.listen(1024)

    @property
    def inode(self) -> int:
        """Of the listener, in sockfs."""
        return os.fstat(self._listener.fileno()).st_ino

    def close(self) -> None:
        self._listener.close()
        ADDRESS.unlink(missing_ok=True)

    def knock(self, mark: str, address: Path = ADDRESS) -> None:
        """Connects once, by a process that is gone afterwards."""
        run(self.client, "connect", address, mark)
