"""Standard output of a run that must not wait for it: the terminal may be stopped (Ctrl-S), the reader asleep."""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from contextlib import suppress
from typing import IO, Any

from sockwarden.sinks.sink import TerminalGoneError

MOST_PENDING = 1 << 20
"""Bytes held back for a reader that does not read."""
_PIECE = 1 << 16
_CLOSE_SECONDS = 1.0


class Outlet:
    """Writes to an open file as far as that takes it. Raises TerminalGoneError when nobody can read it any more.

    lost: alerts that were not written, since too much was held back.
    """

    def __init__(self, file: IO[Any]) -> None:
        file.flush()
        self.lost = 0
        self._told = 0
        self._pending = bytearray()
        self._encoding = getattr(file, "encoding", None) or "utf-8"
        self._shared = file.fileno()
        self._own = _reopened(self._shared)
        # Of a service, standard output is a socket of journald's.
        is_socket = stat.S_ISSOCK(os.fstat(self._shared).st_mode)
        self._socket = socket.socket(fileno=os.dup(self._shared)) if is_socket else None

    @property
    def idle(self) -> bool:
        """Whether nothing is held back."""
        return not self._pending

    def write(self, data: bytes | str, *, alerts: int = 0) -> None:
        """Writes what can be written and holds the rest back; `alerts` of them are lost where that is too much."""
        if isinstance(data, str):
            data = data.encode(self._encoding, "backslashreplace")
        if self._pending and len(self._pending) + len(data) > MOST_PENDING:
            self.lost += alerts
            return
        self._pending += data
        self.flush()

    def flush(self) -> None:
        """Writes what was held back, as far as possible."""
        try:
            while self._pending:
                del self._pending[: self._write(self._pending[:_PIECE])]
        except BlockingIOError:
            return
        except OSError as error:
            self._pending.clear()
            raise TerminalGoneError(error.strerror or str(error)) from error

    def notes(self) -> list[str]:
        """How many alerts were lost, once it takes them again."""
        if self.idle and self.lost > self._told:
            lost, self._told = self.lost - self._told, self.lost
            return [f"alerts not shown, since nobody read for a while: {lost:,}"]
        return []

    def close(self) -> None:
        """Waits a second for what was held back, then lets go."""
        until = time.monotonic() + _CLOSE_SECONDS
        with suppress(TerminalGoneError):
            self.flush()
            poll = select.poll()
            poll.register(self._shared, select.POLLOUT)
            while self._pending and (left := until - time.monotonic()) > 0:
                poll.poll(left * 1000)
                self.flush()
        self._pending.clear()
        if self._socket:
            self._socket.close()
        if self._own is not None:
            os.close(self._own)
        self._socket = self._own = None

    def _write(self, data: bytearray) -> int:
        if self._socket:
            return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return os.write(self._shared if self._own is None else self._own, data)


def _reopened(file: int) -> int | None:
    """The terminal or pipe behind a descriptor, opened again: O_NONBLOCK belongs to the open file, which a shell and
    others share. None where it cannot be, or need not: a regular file takes what it is given.
    """
    mode = os.fstat(file).st_mode
    if not (os.isatty(file) or stat.S_ISFIFO(mode)):
        return None
    try:
        return os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
