"""Alerts into systemd's journal, by its native protocol (systemd's "Native Journal Protocol")."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from sockwarden.alerts import socket_of
from sockwarden.document import Document, encode, get
from sockwarden.sinks.lines import whole
from sockwarden.sinks.sink import Outage
from sockwarden.sinks.told import sentence

SOCKET = Path("/run/systemd/journal/socket")

_PRIORITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5}
"""Severity as syslog's priority: crit, err, warning, notice."""
_FIELDS = {
    "SOCKWARDEN_ALERT": "kibana.alert.uuid",
    "SOCKWARDEN_RULE_ID": "kibana.alert.rule.rule_id",
    "SOCKWARDEN_RULE": "kibana.alert.rule.name",
    "SOCKWARDEN_SEVERITY": "kibana.alert.severity",
    "SOCKWARDEN_RISK_SCORE": "kibana.alert.risk_score",
    "SOCKWARDEN_SUPPRESSED": "kibana.alert.suppression.docs_count",
    "SOCKWARDEN_SOCKET": "sockwarden.socket.canonical",
    "SOCKWARDEN_RUNTIME": "sockwarden.socket.runtime",
    "SOCKWARDEN_ORIGIN": "sockwarden.actor.origin",
    "SOCKWARDEN_STORY": "sockwarden.story.id",
    "SOCKWARDEN_STORY_LEVEL": "sockwarden.story.level",
    "SOCKWARDEN_PID": "process.pid",
    "SOCKWARDEN_EXECUTABLE": "process.executable",
    "SOCKWARDEN_USER_ID": "user.id",
    "SOCKWARDEN_CONTAINER_ID": "container.id",
    "SOCKWARDEN_CONTAINER_NAME": "container.name",
}
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)


class JournaldSink:
    """One journal entry an alert, with its document in SOCKWARDEN_DOCUMENT. Never raises: see `lost` and `notes`."""

    notifies: ClassVar[bool] = True

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._outage = Outage(str(path), "Look at `systemctl status systemd-journald`; tried again every 10 s.")

    @property
    def lost(self) -> int:
        """Alerts that the journal did not take."""
        return self._outage.lost

    def add(self, alerts: Sequence[Document]) -> None:
        """Sends the alerts of one access."""
        for alert in alerts:
            if self._outage.lasts:
                self._outage.lost += 1
                continue
            try:
                self._send(b"".join(_entry(alert)))
            except OSError as error:
                self._outage.begins(error, 1)
            else:
                self._outage.ends()

    def tick(self, now: float) -> None:
        """Takes the time; the next alert is the next try."""
        self._outage.tick(now)

    def reopen(self) -> None:
        """Nothing is held open: every entry finds the socket by its path."""

    def notes(self) -> list[str]:
        """What changed since the last call."""
        return self._outage.notes()

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, str(self._path))
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._send_file(entry)

    def _send_file(self, entry: bytes) -> None:
        """What no datagram holds, as a sealed file in memory."""
        file = os.memfd_create("sockwarden-journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(entry)
            while view:
                view = view[os.write(file, view) :]
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", file))]
            self._socket.sendmsg([], rights, 0, str(self._path))
        finally:
            os.close(file)


def _entry(alert: Document) -> Iterator[bytes]:
    severity = str(get(alert, "kibana.alert.severity"))
    yield _field("MESSAGE", sentence(alert))
    yield _field("PRIORITY", _PRIORITIES.get(severity, 4))
    yield _field("SYSLOG_IDENTIFIER", "sockwarden")
    for name, field in _FIELDS.items():
        value = socket_of(alert) if name == "SOCKWARDEN_SOCKET" else get(alert, field)
        if value is not None:
            yield _field(name, value)
    yield _field("SOCKWARDEN_DOCUMENT", encode(whole(alert)).decode())


def _field(name: str, value: object) -> bytes:
    """NAME=value, or for a value of several lines its length in 64 bits, little-endian, before it."""
    data = str(value).encode("utf-8", "backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
