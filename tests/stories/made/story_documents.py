"""Accesses and requests, as a live watch makes them."""

from __future__ import annotations

import hashlib
from typing import Any

from sockwarden.alerts import iso

BEGAN = 1_795_000_000.0


def document_of(
    at: float = 0.0,
    *,
    asked: dict[str, Any] | None = None,
    pid: int | None = 4711,
    executable: str = "/usr/bin/curl",
    inode: int | None = 77,
    action: str = "",
    outcome: str = "success",
    login: tuple[str, int] | None = None,
    container: str = "",
    actor: dict[str, Any] | None = None,
    ancestors: list[dict[str, Any]] | None = None,
    **ours: Any,
) -> dict[str, Any]:
    """An access, or with `asked`, which is sockwarden.request, a request over its connection. at: seconds."""
    moment = iso(int((BEGAN + at) * 1000))
    action = action or ("requested" if asked else "connected-to")
    identity = hashlib.sha256(repr((at, asked, pid, executable, inode, action, container)).encode()).hexdigest()
    document: dict[str, Any] = {
        "_index": "sockwarden",
        "_id": identity,
        "_version": 1,
        "@timestamp": moment,
        "event": {
            "kind": "event",
            "module": "sockwarden",
            "dataset": "sockwarden.request" if asked else "sockwarden.access",
            "category": ["api" if asked else "network"],
            "action": action,
            "outcome": outcome,
        },
        "host": {"os": {"type": "linux"}},
        "network": {"direction": "egress", "type": "unix"},
        "destination": {"address": ["/run/docker.sock"], "path": ["/run/docker.sock"]},
        "process": {"executable": executable, "name": executable.rpartition("/")[2]},
        "user": {"id": "0", "name": "root"},
        "sockwarden": {
            "socket": {"runtime": "docker", "canonical": "/run/docker.sock"},
            "actor": actor or {"origin": "container" if container else "host"},
            "process": {},
            "sensor": {"name": "ebpf", "hook": "lsm/unix_stream_connect"},
            **ours,
        },
    }
    if asked:
        document["sockwarden"]["request"] = {"summary": asked.get("operation", ""), **asked}
    if pid is not None:
        document["process"]["pid"] = pid
    if inode is not None:
        document["sockwarden"]["connection"] = {"inode": inode}
    if login:
        document["user"]["audit"] = {"id": login[0]}
        document["sockwarden"]["process"]["session"] = login[1]
    if container:
        document["container"] = {"id": container}
    if ancestors:
        document["sockwarden"]["process"]["ancestors"] = ancestors
        document["process"]["parent"] = {"pid": ancestors[0]["pid"]}
    return document
