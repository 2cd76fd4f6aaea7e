"""Whether the programs are still called: a connect of the sensor's own, to a listener of its own, must be told.

The kernel lets nobody detach programs of our kinds by their links. But root can close the watch's descriptors by
ptrace, switch kprobes off, take records out of the ring, and change the maps.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from sockwarden.sensors.ebpf.records import IDENTITY, Action, Identity, Record


class Pulse:
    """One listener, from its making to `close`. Times are of one clock that does not go back, in seconds."""

    def __init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # Without a name given the kernel finds an abstract one: no file, and gone with the descriptor.
        self._listener.bind(b"")
        self._listener.listen(4)
        self._inode = os.fstat(self._listener.fileno()).st_ino
        self._sent: float | None = None
        self._is_missing = False

    @property
    def identity(self) -> bytes:
        """The key by which the programs are to know it."""
        return IDENTITY.pack(Identity.BY_LISTENER, 0, self._inode)

    def beat(self, now: float) -> None:
        """Connects once."""
        self._sent = now
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
            client.connect(self._listener.getsockname())
            self._listener.accept()[0].close()

    def takes(self, record: Record) -> bool:
        """Whether a record tells of it, and is nothing else."""
        reached = record.reached.listener == self._inode and record.action == Action.CONNECT
        if not reached or record.who.pid != os.getpid():
            return False
        self._sent = None
        self._is_missing = False
        return True

    def lost(self, emptied: float, *, dropped: bool) -> bool:
        """Whether the last beat was not told; said once, until one is told again.

        emptied: when the ring was last read to its end. dropped: records were lost since the beat, it perhaps too.
        """
        if self._sent is None or emptied <= self._sent or dropped or self._is_missing:
            return False
        self._is_missing = True
        return True

    def close(self) -> None:
        """Lets go of the listener; a second call does nothing."""
        self._listener.close()
