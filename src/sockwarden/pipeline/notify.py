"""Tells the service manager how the run is: sd_notify(3), without libsystemd."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends to the socket that NOTIFY_SOCKET names; does nothing where there is none.

    watchdog: seconds between two signs of life that the service manager asks for (half of WATCHDOG_USEC), None where
    it asks for none.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.watchdog = _watchdog(environment)
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._alive_at = float("-inf")
        if self._address[:1] in ("/", "@"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            # An abstract name is written with @ in place of its leading NUL.
            self._address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address

    def ready(self, status: str) -> None:
        """The run is up, or up again after `reloading`."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The settings are read again; `ready` ends that."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The run ends."""
        self._send("STOPPING=1")

    def alive(self, now: float) -> None:
        """A sign of life, when one is due. `now` is time.monotonic."""
        if self.watchdog is not None and now - self._alive_at >= self.watchdog:
            self._alive_at = now
            self._send("WATCHDOG=1")

    def close(self) -> None:
        """Closes the socket."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket:
            # A service manager that does not listen must not end the run, nor hold it.
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC in seconds, where WATCHDOG_PID is this process or not set: sd_watchdog_enabled(3)."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    usable = microseconds.isascii() and microseconds.isdigit() and 0 < len(microseconds) < 20 and int(microseconds)
    return int(microseconds) / 2_000_000 if ours and usable else None


def _line(text: str) -> str:
    return " ".join(text.split())
