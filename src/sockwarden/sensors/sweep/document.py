"""The document of a held connection. The address that somebody once gave for it is not known, and not filled."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec

from sockwarden.document import Document, get, put
from sockwarden.enrich import procfs
from sockwarden.sensors.sweep.sweep import Held
from sockwarden.sockets import processes, text_of

_DELETED = " (deleted)"
_UNSET = 0xFFFFFFFF
"""loginuid of a process that no login made."""
_MOST_STATUS = 16 << 10


class Connector(msgspec.Struct, frozen=True):
    """Who made a connection, as far as it is known: pid, program then, process.entity_id."""

    pid: int | None = None
    executable: str | None = None
    entity_id: str | None = None


def document_of(held: Held, now: float, boot: str, connector: Connector | None = None) -> Document:
    """The document of a connection that was found at a time in seconds since the epoch.

    boot       id of this boot, since inodes and pids begin anew with the next
    connector  who is known to have connected; else it is who the kernel noted, by pid alone
    """
    connector = connector or Connector(held.connected_by)
    document: Document = {
        "_index": "sockwarden",
        "_id": _identity(held, boot),
        "_version": 1,
        "@timestamp": f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "event": {
            "kind": "event",
            "category": ["network"],
            "type": ["connection", "info"],
            "action": "held-connection",
            "outcome": "success",
            "module": "sockwarden",
            "dataset": "sockwarden.access",
        },
        "host": {"os": {"type": "linux"}},
        "network": {"direction": "egress", "type": "unix"},
        "sockwarden": {
            "actor": {"origin": "unknown"},
            "sensor": {"name": "sweep", "hook": "sock_diag"},
            "socket": _socket(held),
            "connection": {"inode": held.client, "accepted": held.accepted},
        },
    }
    if held.pid is None:
        put(document, "sockwarden.connection.holder_unseen", True)
    else:
        _describe(document, held.pid, held.start)
    put(document, "sockwarden.connection.descriptor", held.descriptor)
    for field in connector.__struct_fields__:
        put(document, f"sockwarden.connection.connector.{field}", getattr(connector, field))
    put(document, "sockwarden.connection.moved", _moved(document, held, connector))
    return document


def _socket(held: Held) -> Document:
    abstract = held.name.startswith(b"\0")
    place: Document = {"type": "abstract" if abstract else "path", "listener": {"inode": held.listener}}
    place["bound"] = f"@{text_of(held.name[1:])}" if abstract else text_of(held.name)
    if held.inode:
        place |= {"inode": held.inode, "device": held.device}
    return place


def _identity(held: Held, boot: str) -> str:
    words = f"sweep {boot} {held.client} {held.pid} {held.start}"
    return hashlib.sha256(words.encode("utf-8", "backslashreplace")).hexdigest()


def _moved(document: Document, held: Held, connector: Connector) -> bool | None:
    """Whether the holder is another process than the connector, or runs another program by now. None where that is
    not known.
    """
    if connector.pid is None or held.pid is None:
        return None
    executable = get(document, "process.executable")
    exec_since = None not in (connector.executable, executable) and connector.executable != executable
    return connector.pid != held.pid or exec_since


def _describe(document: Document, pid: int, start: int) -> None:
    """Who holds it, by /proc; no more than the pid of one that has ended since."""
    status = processes.read_file(f"/proc/{pid}/status", _MOST_STATUS)
    login = processes.read_file(f"/proc/{pid}/loginuid", 16)
    executable = processes.executable_of(pid)
    stat = procfs.stat(pid)
    document["process"] = {"pid": pid}
    if stat is None or stat.start != start:
        return
    put(document, "process.name", stat.name or None)
    put(document, "process.executable", text_of(executable) if executable else None)
    put(document, "process.parent.pid", stat.parent or None)
    if executable and executable.endswith(_DELETED):
        put(document, "sockwarden.actor.executable_deleted", True)
    for field, value in _users(status, login).items():
        put(document, f"user.{field}", value)


def _users(status: bytes, login: bytes) -> dict[str, str]:
    """ECS user.*, by the numbers of /proc/PID/status, of which the first two are real and effective."""
    found: dict[str, str] = {}
    for line in status.split(b"\n"):
        numbers = [number.decode() for number in line.split()[1:5] if number.isdigit()]
        if line.startswith(b"Uid:\t") and len(numbers) == 4:
            found |= {"id": numbers[0], "effective.id": numbers[1]}
        elif line.startswith(b"Gid:\t") and numbers:
            found["group.id"] = numbers[0]
    if login.isdigit() and int(login) != _UNSET:
        found["audit.id"] = login.decode()
    return found
