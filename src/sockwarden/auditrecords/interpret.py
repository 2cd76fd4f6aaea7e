"""From an event to a document: accesses to sockets, and what teaches which socket an inode is.

Field names and values as Auditbeat and the auditd_manager integration give them, so that their rules fit unchanged.
The address stays as the caller gave it; `sockets` alone decides what it reached. Recorded are the address, the
call's own words and nothing else: no name is looked up on the machine that reads the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sockwarden.auditrecords import sockaddr
from sockwarden.auditrecords.call import call_of, results_of
from sockwarden.auditrecords.event import Event, part_of
from sockwarden.auditrecords.parse import moment_of
from sockwarden.auditrecords.record import UNSET, decode, fields, text, title_of
from sockwarden.auditrecords.sockaddr import Address
from sockwarden.auditrecords.syscalls import CREAT_FLAGS, FLAGS_ARGUMENT, Call
from sockwarden.document import Document

_Fields = Mapping[bytes, bytes]

S_IFMT = 0o170000
S_IFSOCK = 0o140000
IDENTITY = {"_index": "sockwarden", "_version": 1}
"""What identifies a document of ours in any index, beside its `_id`, which is its event's digest."""

_ACTIONS = {
    "connect": "connected-to",
    "open": "opened-file",
    "bind": "bound-socket",
    "unlink": "deleted",
    "rename": "renamed",
    "unknown": "unknown-call",
}
_PATH = tuple((key.encode(), key) for key in ("item", "inode", "dev", "mode", "ouid", "ogid", "nametype"))
_NO_CALL = Call("unknown", "", "", "unknown")
_MOST_KEPT = 512
"""Bytes of the longest part of a record that is kept with what it says: programs, users and paths come again."""
_RESULTS = {b"yes": "success", b"no": "fail"}
_BOOT = {"SYSTEM_BOOT": "booted-system", "SYSTEM_SHUTDOWN": "shutdown-system", "KERNEL": "booted-system"}
_USER = (
    (b"uid", ""),
    (b"euid", "effective"),
    (b"auid", "audit"),
    (b"fsuid", "filesystem"),
    (b"suid", "saved"),
    (b"gid", "group"),
)
"""Fields of SYSCALL, and the object below ECS's `user` that each fills."""


def document_of(event: Event) -> Document | None:
    """A document for a connect, an open of a socket file, and for what changes a socket's identity (bind, unlink,
    rename, boot); None for any other event. Where the records carry an address and do not tell the call (they are cut,
    or of an architecture unknown here), event.action is `unknown-call`; so it is where a call that carries out requests
    of an io_uring touched a socket file, and no record says by what request.
    """
    if len(event.records) == 1 and (action := _BOOT.get(event.records[0].type)):
        return _frame(event, action)
    call = call_of(event) or _NO_CALL
    unrequested = call.kind == "unknown" and call.hook == "io_uring"
    if call.kind == "other" or (call.kind == "unknown" and not unrequested and not event.first("SOCKADDR")):
        return None
    paths = _paths(event)
    sockets = [path for path in paths if is_socket(path)]
    addressed = call.kind in ("connect", "unknown") and not unrequested
    if not addressed and not sockets:
        return None
    document = _frame(event, _ACTIONS[call.kind])
    if addressed and not _connect(document, event, call):
        return None
    if call.kind == "open":
        _open(document, event, call, sockets[-1])
    elif unrequested:
        _socket_file(document, sockets[-1])
    document["sockwarden"]["sensor"] = {"name": "audit", "hook": call.hook}
    _actor(document, event, call)
    if paths:
        document["auditd"]["paths"] = paths
    return document


def lesson_of(event: Event) -> Document | None:
    """What an event teaches of inodes, and no more: when, where, which socket files under which names, and whether it
    was a bind, an unlink, a rename or a boot, and succeeded. A lone PATH record teaches as well. None for an event
    without any.
    """
    action = _BOOT.get(event.records[0].type) if len(event.records) == 1 else None
    paths = list(filter(is_socket, _paths(event)))
    if not action and not paths:
        return None
    call = call_of(event)
    action = action or (_ACTIONS.get(call.kind) if call else None)
    outcome = _outcome(_result(event, call)) if call else "unknown"
    return _lesson(event.time, event.serial, action, outcome, event.node, paths, _surroundings(event))


def _lesson(
    time: int,
    serial: int,
    action: str | None,
    outcome: str,
    node: bytes,
    paths: list[dict[str, str]],
    surroundings: dict[str, Any],
) -> Document:
    return {
        "@timestamp": iso(time),
        "event": {"sequence": serial, "action": action, "outcome": outcome},
        "host": {"name": decode(node)},
        "auditd": {"paths": paths},
        "process": surroundings,
    }


_DEVICE = rb"[0-9a-f]{2,8}:[0-9a-f]{2,8}"
_TEACHES = re.compile(
    rb"type=PATH msg=audit\((\d{1,11})\.(\d{3}):(\d{1,10})\): item=(?P<item>\d{1,4}) name=\"(?P<name>[!#-~]{1,4096})\" "
    rb"inode=(?P<inode>\d{1,20}) dev=(?P<dev>" + _DEVICE + rb") mode=(?P<mode>0140[0-7]{3}) ouid=(?P<ouid>\d{1,10}) "
    rb"ogid=(?P<ogid>\d{1,10}) rdev=" + _DEVICE + rb" nametype=(?P<nametype>[A-Z]{1,10})(?: (?!\()[^\n]*)?"
)
"""The PATH record of a socket file with a plain name, as audit_log_name prints it (kernel/audit.c)."""


def lesson_of_line(line: bytes) -> Document | None:
    """The same of a line that comes alone, quicker; None for one that is not of the commonest form."""
    record = _TEACHES.fullmatch(line)
    if record is None:
        return None
    time, serial = moment_of(*record.group(1, 2, 3))
    path = {key: value.decode("ascii") for key, value in record.groupdict().items()}
    return _lesson(time, serial, None, "unknown", b"", [path], {})


def is_socket(path: dict[str, str]) -> bool:
    """Whether a PATH record's mode (octal, as printed) is that of a socket file."""
    try:
        return int(path.get("mode", "0")[:12], 8) & S_IFMT == S_IFSOCK
    except ValueError:
        return False


def _frame(event: Event, action: str) -> Document:
    document: Document = {
        **IDENTITY,
        "_id": event.digest(),
        "@timestamp": iso(event.time),
        "event": {
            "kind": "event",
            "action": action,
            "module": "auditd",
            "dataset": "auditd.log",
            "sequence": event.serial,
            "original": [original_of(part_of(record.type, record.body)) for record in event.records],
        },
        "host": {"os": {"type": "linux"}},
        "auditd": {"sequence": event.serial},
        "sockwarden": {"actor": {"origin": "unknown"}},
    }
    if event.node:
        document["host"]["name"] = decode(event.node)
    if not event.complete:
        document["sockwarden"]["loss"] = {"incomplete": True}
    return document


def original_of(part: bytes) -> str:
    """A record as the kernel printed it, behind its type: from what a digest takes in of it. These of an event are
    `event.original`.
    """
    return "type=" + decode(part)


@lru_cache(maxsize=64)
def iso(time: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    return f"{_second(time // 1000)}.{time % 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(time: int) -> str:
    """Seconds since the epoch as ISO 8601 in UTC; events come many in a second."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S}"


def _connect(document: Document, event: Event, call: Call) -> bool:
    """Fills a connect's address. False for a family that no runtime listens on (netlink, say)."""
    record = event.first("SOCKADDR")
    value = fields(record.body).get(b"saddr") if record else None
    address = sockaddr.parse(value, little_endian=call.little_endian)
    if address.kind == "other":
        return False
    document["network"] = {}
    if call.kind == "connect":
        kind = {"category": ["network"], "type": ["connection", "start"], "code": "security_socket_connect"}
        document["event"] |= kind
        document["network"]["direction"] = "egress"
    if address.kind != "undecodable":
        document["network"]["type"] = f"ipv{address.version}" if address.version else "unix"
    if address.port:
        document["destination"] = {"port": address.port}
    document["sockwarden"]["socket"] = {"type": address.kind}
    if given := _given(address):
        document["sockwarden"]["socket"]["address_as_given"] = given
    return True


def _given(address: Address) -> str | None:
    """The address as text; an abstract name is `@` and the rest, whole, so that it never equals a path."""
    if address.kind in ("unnamed", "undecodable"):
        return None
    return ("@" if address.kind == "abstract" else "") + decode(address.name)


def _open(document: Document, event: Event, call: Call, path: dict[str, str]) -> None:
    document["event"] |= {"category": ["file"], "type": ["access"], "code": "security_file_open"}
    _socket_file(document, path)
    if "name" in path:
        document["file"] = {"path": path["name"]}
    flags = _flags(event, call)
    if flags is not None:
        document["sockwarden"]["tracee"] = {"flags": flags}


def _socket_file(document: Document, path: dict[str, str]) -> None:
    document["network"] = {"type": "unix"}
    document["sockwarden"]["socket"] = {"type": "path"}
    if "name" in path:
        document["sockwarden"]["socket"]["address_as_given"] = path["name"]


def _flags(event: Event, call: Call) -> int | None:
    """Open flags (O_*), None where the records do not carry them (a request on an io_uring)."""
    if call.name == "creat":
        return CREAT_FLAGS
    if record := event.first("OPENAT2"):
        value, base = fields(record.body).get(b"oflag", b""), 8
    else:
        system = event.first("SYSCALL")
        name = call.hook.removeprefix("x32 ")
        value = fields(system.body).get(FLAGS_ARGUMENT[name], b"") if system and name in FLAGS_ARGUMENT else b""
        base = 16
    try:
        return int(value[:16], base)
    except ValueError:
        return None


def _paths(event: Event) -> list[dict[str, str]]:
    """Its PATH records as auditd.paths carries them: strings, as printed."""
    bodies = [record.body for record in event.records if record.type == "PATH"]
    return [_kept_path(body).copy() if len(body) <= _MOST_KEPT else _path(body) for body in bodies]


def _path(body: bytes) -> dict[str, str]:
    raw = fields(body)
    name = text(raw.get(b"name"))
    path = {key: decode(raw[field]) for field, key in _PATH if field in raw}
    return path if name is None else {"name": decode(name), **path}


_kept_path = lru_cache(maxsize=512)(_path)
"""Of a busy socket and of what it is reached through these come again and again."""


def _actor(document: Document, event: Event, call: Call) -> None:
    """Who called: from SYSCALL, or from URINGOP alone when the request ran in a worker of the ring."""
    system = event.first("SYSCALL")
    record = system or event.first("URINGOP")
    raw = fields(record.body) if record else {}
    parent: dict[str, Any] = {}
    process: dict[str, Any] = {}
    if executable := string_of(raw.get(b"exe")):
        process["executable"] = executable
        if executable.endswith(" (deleted)"):
            document["sockwarden"]["actor"]["executable_deleted"] = True
    if name := string_of(raw.get(b"comm")):
        process["name"] = name
    document["process"] = process = {**process, **_surroundings(event), "parent": parent}
    for field, place in ((b"pid", process), (b"ppid", parent)):
        if (number := raw.get(field, b"")).isdigit() and len(number) < 12:
            place["pid"] = int(number)
    document["user"] = _user(raw, system.enriched if system else b"")
    result = _result(event, call)
    document["event"]["outcome"] = _outcome(result)
    auditd = document["auditd"]
    auditd["data"] = data = {key: value for key, value in (("arch", call.arch), ("syscall", call.name)) if value}
    for key, value in (("exit", result.get(b"exit")), ("tty", raw.get(b"tty")), ("subj", raw.get(b"subj"))):
        if value is not None:
            data[key] = decode(value)
    if (success := result.get(b"success", b"")) in _RESULTS:
        auditd["result"] = _RESULTS[success]
    if (session := raw.get(b"ses", UNSET)) != UNSET:
        auditd["session"] = decode(session)


def _result(event: Event, call: Call) -> _Fields:
    """`success` and `exit` of the call; nothing where requests of one ring ended differently."""
    results = [fields(record.body) for record in results_of(event, call)]
    if len(results) == 1:
        return results[0]
    ends: list[_Fields] = [{key: raw[key] for key in (b"success", b"exit") if key in raw} for raw in results]
    return ends[0] if ends and all(end == ends[0] for end in ends) else {}


def _outcome(result: _Fields) -> str:
    return {b"yes": "success", b"no": "failure"}.get(result.get(b"success", b""), "unknown")


def user_of(numbers: bytes, enriched: bytes) -> dict[str, Any]:
    """ECS user.* of a SYSCALL record's numbers of users and groups (`auid=… uid=…`), and auditd's names of them."""
    return _user(fields(numbers), enriched)


def _user(raw: _Fields, enriched: bytes) -> dict[str, Any]:
    """ECS user.*: the numbers from the record, names where auditd wrote them beside."""
    numbers = tuple([raw.get(key, b"") for key, _ in _USER])
    short = len(enriched) + sum(map(len, numbers)) <= _MOST_KEPT
    user = (_known_user if short else _known_user.__wrapped__)(numbers, enriched)
    return {key: value if type(value) is str else value.copy() for key, value in user.items()}


@lru_cache(maxsize=256)
def _known_user(numbers: tuple[bytes, ...], enriched: bytes) -> dict[str, Any]:
    names = fields(enriched) if enriched else {}
    user: dict[str, Any] = {}
    for (key, role), number in zip(_USER, numbers, strict=True):
        if number.isdigit() and number != UNSET:
            place = user.setdefault(role, {}) if role else user
            place["id"] = number.decode()
            name = names.get(key.upper(), b"").strip(b'"')
            if name and not name.startswith(b"unknown("):
                place["name"] = decode(name)
    return user


def _surroundings(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (cwd := event.first("CWD")) and (directory := string_of(fields(cwd.body).get(b"cwd"))):
        found["working_directory"] = directory
    if (title := event.first("PROCTITLE")) and (words := title_of(fields(title.body).get(b"proctitle"))):
        found["title"] = words
    return found


def string_of(value: bytes | None) -> str | None:
    """A string as the kernel prints it (a program's path, a directory) as text; None for none."""
    if value is None or len(value) > _MOST_KEPT:
        return decode(text(value) or b"") or None
    return _known_string(value)


@lru_cache(maxsize=1024)
def _known_string(value: bytes) -> str | None:
    return decode(text(value) or b"") or None
