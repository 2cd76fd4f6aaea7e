"""A runtime's socket for tests: a listener of theirs where the catalogue knows one, and who knocks at it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

from runtimes import made, run

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


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024


@contextmanager
def served(by: type[BaseRequestHandler]) -> Iterator[None]:
    """A daemon at ADDRESS that has each connection handled by one of these."""
    with made(FOLDER):
        try:
            with _Server(str(ADDRESS), by) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                yield
                server.shutdown()
        finally:
            ADDRESS.unlink(missing_ok=True)
