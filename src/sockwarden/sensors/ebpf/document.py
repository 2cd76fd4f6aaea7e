"""An access of the eBPF sensor as an ECS document; which socket it reached `sockets` says, by what the kernel told."""

from __future__ import annotations

import errno
import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sockwarden.auditrecords import sockaddr
from sockwarden.document import Document
from sockwarden.sensors.ebpf.lookup import path_given
from sockwarden.sensors.ebpf.records import ABIS, HOOKS, Action, Context, Record
from sockwarden.sockets.diag import device_text

_MOVED = {"category": ["network"], "type": ["connection", "info"]}
_ACTIONS: dict[int, dict[str, Any]] = {
    Action.CONNECT: {
        "action": "connected-to",
        "category": ["network"],
        "type": ["connection", "start"],
        "code": "security_socket_connect",
    },
    Action.OPEN: {"action": "opened-file", "category": ["file"], "type": ["access"], "code": "security_file_open"},
    Action.RECEIVE: {"action": "received-descriptor", **_MOVED},
    Action.DUPLICATE: {"action": "duplicated-descriptor", **_MOVED},
    Action.INHERIT: {"action": "inherited-descriptor", **_MOVED},
}
_SECCOMP = {0: "disabled", 1: "strict", 2: "filter"}
_UNSET = 0xFFFFFFFF
_OF_RUNG = frozenset({1, 2, 3, 4})
"""Hooks that differ from rung to rung; the others are tracepoints on each."""
_CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""By their numbers (include/uapi/linux/capability.h)."""


def document_of(record: Record, *, rung: str, boot: str, offset: int, file: tuple[str, int] | None = None) -> Document:
    """One document.

    boot    the id of this boot
    offset  ns from CLOCK_MONOTONIC to CLOCK_REALTIME
    file    device and inode of the socket file that a name leads to, where the kernel did not tell
    """
    who = record.who
    event = {
        "kind": "event",
        "module": "sockwarden",
        "dataset": "sockwarden.access",
        "outcome": _outcome(record.result),
    }
    document: Document = {
        "_index": "sockwarden",
        "_id": _identity(record, boot),
        "_version": 1,
        "@timestamp": _iso(who.time + offset),
        "event": event | _ACTIONS[record.action],
        "host": {"os": {"type": "linux"}},
        "network": {"type": "unix"},
        "process": _process(record),
        "user": _user(who),
        "sockwarden": {
            "actor": {"origin": "unknown"},
            "sensor": {"name": "ebpf", "hook": _hook(who.hook, rung), "abi": ABIS.get(who.abi, "unknown")},
            "process": _surroundings(record),
            "socket": _reached(record, file),
        },
    }
    if record.result < 0:
        document["error"] = {"code": errno.errorcode.get(-record.result, str(-record.result))}
    if record.deleted and record.executable:
        document["sockwarden"]["actor"]["executable_deleted"] = True
    _put_address(document, record)
    _put_connection(document, record)
    return document


def _identity(record: Record, boot: str) -> str:
    who, reached = record.who, record.reached
    parts = (boot, who.time, who.tid, record.action, record.result, reached.listener, reached.client)
    return hashlib.sha256("/".join(map(str, parts)).encode() + record.given).hexdigest()


def _iso(moment: int) -> str:
    """ns since the epoch as ISO 8601 in UTC, to the millisecond."""
    return f"{_second(moment // 10**9)}.{moment // 10**6 % 1000:03d}Z"


@lru_cache(64)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _outcome(result: int) -> str:
    if result == -errno.EINPROGRESS:
        return "unknown"
    return "failure" if result < 0 else "success"


def _hook(hook: int, rung: str) -> str:
    name = HOOKS.get(hook, "unknown")
    return f"{rung}/{name}" if hook in _OF_RUNG else name


def _process(record: Record) -> dict[str, Any]:
    who = record.who
    process: dict[str, Any] = {
        "pid": who.pid,
        "name": _text(who.comm),
        "parent": {"pid": who.parent},
        "thread": {"id": who.tid, "capabilities": {"effective": _capabilities(who.capabilities)}},
    }
    if record.executable:
        process["executable"] = record.executable
    if record.directory:
        process["working_directory"] = record.directory
    return process


@lru_cache(256)
def _capabilities(mask: int) -> list[str]:
    """Names of a set; hardly more than root's and nobody's come."""
    return [f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if mask >> number & 1]


def _user(who: Context) -> dict[str, Any]:
    user: dict[str, Any] = {
        "id": str(who.uid),
        "group": {"id": str(who.gid)},
        "effective": {"id": str(who.euid), "group": {"id": str(who.egid)}},
        "saved": {"id": str(who.suid), "group": {"id": str(who.sgid)}},
        "filesystem": {"id": str(who.fsuid), "group": {"id": str(who.fsgid)}},
    }
    if who.auid != _UNSET:
        user["audit"] = {"id": str(who.auid)}
    return user


def _surroundings(record: Record) -> dict[str, Any]:
    who = record.who
    around: dict[str, Any] = {
        "namespaces": {"mount": who.mount_ns, "pid": who.pid_ns, "user": who.user_ns, "net": who.net_ns},
        "seccomp": _SECCOMP.get(who.seccomp, "unknown"),
    }
    if record.cgroup is not None:
        around["cgroup"] = record.cgroup
    if who.session != _UNSET:
        around["session"] = who.session
    return around


def _reached(record: Record, file: tuple[str, int] | None) -> dict[str, Any]:
    reached = record.reached
    socket: dict[str, Any] = {}
    if reached.listener:
        socket["listener"] = {"inode": reached.listener}
    if reached.file:
        file = (device_text(reached.device), reached.file)
    if file:
        socket["device"], socket["inode"] = file
    if bound := sockaddr.of(record.bound) if record.bound else None:
        socket["type"] = bound.kind
        socket["bound"] = _address(bound)
    return socket


def _put_address(document: Document, record: Record) -> None:
    socket = document["sockwarden"]["socket"]
    if record.action == Action.OPEN:
        socket["type"] = "path"
        if given := path_given(record):
            socket["address_as_given"] = _text(given)
            document["file"] = {"path": _text(given)}
        if record.open_flags != _UNSET:
            document["sockwarden"]["tracee"] = {"flags": record.open_flags}
        return
    if record.action == Action.CONNECT:
        document["network"]["direction"] = "egress"
    if not record.given:
        socket.setdefault("type", "undecodable")
        return
    address = sockaddr.of(record.given)
    socket.setdefault("type", address.kind)
    if address.version:
        document["network"]["type"] = f"ipv{address.version}"
        document["destination"] = {"port": address.port}
    if address.kind not in ("unnamed", "undecodable"):
        socket["address_as_given"] = _address(address)
    if record.given_late:
        socket["address_read_late"] = True


def _put_connection(document: Document, record: Record) -> None:
    """The connection by its client end, and who had made it."""
    reached = record.reached
    connection: dict[str, Any] = {}
    if reached.client:
        connection["inode"] = reached.client
    if record.action != Action.CONNECT and reached.connector:
        connection["connector"] = {"pid": reached.connector}
    if connection:
        document["sockwarden"]["connection"] = connection


def _address(address: sockaddr.Address) -> str:
    return ("@" if address.kind == "abstract" else "") + _text(address.name)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
