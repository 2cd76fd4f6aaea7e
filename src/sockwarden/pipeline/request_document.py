"""A request as a document: what was asked, beside the access by which its sender came to the connection."""

from __future__ import annotations

import hashlib
import time
from copy import deepcopy
from typing import Any

import msgspec

from sockwarden.document import Document, get
from sockwarden.pipeline.decoding import wire
from sockwarden.requests.describe import Described, Returned
from sockwarden.sockets.diag import device_text
from sockwarden.stories import REQUEST

_FIRST_FAILURE = 400
"""HTTP's status from which on an answer is a refusal."""


def document_of(asked: wire.Asked, access: Document | None, boot_id: str, offset: int) -> Document:
    """One document.

    access   the access by which its sender came to the connection, judged; None where none is known
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
    if access:
        _put_access(document, access, connection)
    _put_request(document, asked.described)
    return document


def _put_access(document: Document, access: Document, connection: wire.Connection) -> None:
    """Who sent it, and under which name the socket was reached, by the access that made the connection."""
    ours = document["sockwarden"]
    process = document["process"] = {"pid": get(access, "process.pid")}
    for field in ("working_directory", "thread"):
        if value := get(access, f"process.{field}"):
            process[field] = value
    if (parent := get(access, "process.parent.pid")) is not None:
        process["parent"] = {"pid": parent}
    for field in ("user", "destination", "network"):
        if value := access.get(field):
            document[field] = deepcopy(value)
    for field in ("socket", "process"):
        if value := get(access, f"sockwarden.{field}"):
            ours[field] = deepcopy(value)
    ours.get("process", {}).pop("ancestors", None)
    if process["pid"] != connection.connector:
        connector = get(access, "sockwarden.connection.connector")
        ours["connection"]["connector"] = deepcopy(connector) if connector else {"pid": connection.connector}
    ours["connection"]["access"] = access["_id"]


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
