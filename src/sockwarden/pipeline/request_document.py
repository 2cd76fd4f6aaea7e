"""A request as a document: what was asked, beside the access by which its sender came to the connection."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import msgspec

from sockwarden.document import Document, get
from sockwarden.pipeline.decoding import wire
from sockwarden.requests.describe import Described, Returned
from sockwarden.sockets.diag import device_text
from sockwarden.stories import REQUEST

_FIRST_FAILURE = 400
"""HTTP's status from which on an answer is a refusal."""


def document_of(asked: wire.Asked, part: Document | None, boot_id: str, offset: int) -> Document:
    """One document.

    part     `part_of` the access by which its sender came to the connection, judged; None where none is known. It
             becomes a part of the document.
    boot_id  of this boot
    offset   ns from CLOCK_MONOTONIC to CLOCK_REALTIME
    """
    connection = asked.connection
    moment = asked.time + offset
    identity = "/".join(map(str, (boot_id, connection.socket, asked.described.number, asked.time)))
    document: Document = {
        "_index": "sockwarden",
        "_id": hashlib.sha256(identity.encode()).hexdigest(),
        "_version": 1,
        "@timestamp": _iso(moment),
        "event": {
            "kind": "event",
            "module": "sockwarden",
            "dataset": REQUEST,
            "category": ["api"],
            "action": "requested",
            "outcome": "unknown",
        },
        "host": {"os": {"type": "linux"}},
        "network": {"type": "unix"},
        "process": {"pid": connection.connector},
        "sockwarden": {
            "actor": {"origin": "unknown"},
            "socket": {"type": "path", "device": device_text(connection.device), "inode": connection.file},
            "connection": {"server": {"pid": connection.server}},
        },
    }
    if connection.client:
        document["sockwarden"]["connection"]["inode"] = connection.client
    if part:
        _put_part(document, part, connection)
    _put_request(document, asked.described)
    return document


def part_of(access: Document) -> Document:
    """What a request takes over from the access that made its connection: who sends it, and under which name the
    socket was reached. What the process runs by then may be another program.
    """
    process, ours = _object(access, "process"), _object(access, "sockwarden")
    who = {field: process[field] for field in ("pid", "working_directory", "thread") if process.get(field)}
    if (parent := get(process, "parent.pid")) is not None:
        who["parent"] = {"pid": parent}
    about = {field: ours[field] for field in ("socket", "process") if ours.get(field)}
    if "process" in about:
        about["process"] = {key: value for key, value in about["process"].items() if key != "ancestors"}
    if connector := get(ours, "connection.connector"):
        about["connection"] = {"connector": connector}
    taken = {field: access[field] for field in ("user", "destination", "network") if access.get(field)}
    return {**taken, "process": who, "sockwarden": about}


def _put_part(document: Document, part: Document, connection: wire.Connection) -> None:
    """Takes it over."""
    ours, about = document["sockwarden"], part["sockwarden"]
    process = document["process"] = {"pid": None, **part["process"]}
    document |= {field: part[field] for field in ("user", "destination", "network") if field in part}
    ours |= {field: about[field] for field in ("socket", "process") if field in about}
    if process["pid"] != connection.connector:
        connector = get(about, "connection.connector")
        ours["connection"]["connector"] = connector or {"pid": connection.connector}
    ours["connection"]["access"] = part["_id"]


def _object(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _put_request(document: Document, described: Described) -> None:
    told: dict[str, Any] = msgspec.to_builtins(described)
    document["event"]["type"] = [told.pop("kind")]
    if agent := told.pop("user_agent", ""):
        document["user_agent"] = {"original": agent}
    document["sockwarden"]["request"] = told
    if described.path:
        version = described.protocol.removeprefix("http/").removeprefix("h")
        document["http"] = {"request": {"method": described.method}, "version": version}
        document["url"] = {"path": described.path}


def put_answer(document: Document, returned: Returned) -> None:
    """Adds what came of it."""
    if returned.status is None:
        return
    request = document["sockwarden"]["request"]
    request["status"] = returned.status
    failed = returned.status != 0
    if "http" in document:
        document["http"]["response"] = {"status_code": returned.status}
        failed = returned.status >= _FIRST_FAILURE
    document["event"]["outcome"] = "failure" if failed else "success"
    if returned.returned_id:
        request["returned_id"] = returned.returned_id
    if returned.error:
        document["error"] = {"message": returned.error}


def _iso(moment: int) -> str:
    """ns since the epoch as ISO 8601 in UTC, to the millisecond."""
    seconds = time.gmtime(moment // 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{moment // 10**6 % 1000:03d}Z"
