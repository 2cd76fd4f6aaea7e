"""The document of a held connection."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec
import pytest

from sockwarden.document import encode, get
from sockwarden.enrich import procfs
from sockwarden.kql.types import ECS
from sockwarden.sensors.sweep import Connector, Held, document_of

BOOT = "0b7f8f4e-0000-4000-8000-000000000001"


def start_of(pid: int) -> int:
    stat = procfs.stat(pid)
    assert stat
    return stat.start


def held(**changes: Any) -> Held:
    fields: dict[str, Any] = {
        "client": 4242,
        "pid": os.getpid(),
        "start": start_of(os.getpid()),
        "descriptor": 3,
        "listener": 17,
        "name": b"/run/docker.sock",
        "inode": 12,
        "device": "00:18",
        "accepted": True,
        "connected_by": os.getpid(),
        "new": True,
    }
    return Held(**fields | changes)


def fields_of(value: object, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [field for key, part in value.items() for field in fields_of(part, f"{name}.{key}" if name else key)]
    return [name]


def test_what_it_carries() -> None:
    document = document_of(held(), 1_790_000_000.25, BOOT)
    assert document["@timestamp"] == "2026-09-21T14:13:20.250Z"
    assert document["event"] == {
        "kind": "event",
        "category": ["network"],
        "type": ["connection", "info"],
        "action": "held-connection",
        "outcome": "success",
        "module": "sockwarden",
        "dataset": "sockwarden.access",
    }
    assert (document["_index"], document["_version"]) == ("sockwarden", 1)
    assert document["network"] == {"direction": "egress", "type": "unix"}
    assert get(document, "sockwarden.socket") == {
        "type": "path",
        "bound": "/run/docker.sock",
        "inode": 12,
        "device": "00:18",
        "listener": {"inode": 17},
    }
    assert get(document, "sockwarden.sensor") == {"name": "sweep", "hook": "sock_diag"}
    assert get(document, "sockwarden.connection") == {
        "inode": 4242,
        "accepted": True,
        "descriptor": 3,
        "connector": {"pid": os.getpid()},
        "moved": False,
    }
    assert get(document, "process.pid") == os.getpid()
    assert get(document, "process.executable") == os.readlink("/proc/self/exe")  # noqa: PTH115
    assert get(document, "process.parent.pid") == os.getppid()
    assert get(document, "user.id") == str(os.getuid())
    assert get(document, "user.effective.id") == str(os.geteuid())
    assert get(document, "user.group.id") == str(os.getgid())
    encode(document)


def test_every_field_has_a_type() -> None:
    whole = document_of(held(), time.time(), BOOT, Connector(1, "/usr/bin/dockerd", "x"))
    unseen = document_of(held(pid=None, start=0, descriptor=None), time.time(), BOOT)
    for document in (whole, unseen):
        assert [field for field in fields_of(document) if field[0] != "_" and not ECS.type_of(field)] == []


def test_the_identity_is_of_the_holding_and_of_nothing_else() -> None:
    same = {
        document_of(held(new=new, descriptor=descriptor, connected_by=by), now, BOOT)["_id"]
        for new, descriptor, by, now in ((True, 3, None, 1.0), (False, None, 7, 2.0))
    }
    assert len(same) == 1 and len(next(iter(same))) == 64
    others = [held(client=1), held(pid=1), held(pid=None), held(start=1)]
    assert len({document_of(one, 1.0, BOOT)["_id"] for one in others} | same) == 5
    assert document_of(held(), 1.0, "another boot")["_id"] not in same


@pytest.mark.parametrize(
    ("connector", "moved"),
    [
        (Connector(), None),
        (Connector(None, "/usr/bin/docker"), None),
        (Connector(1), True),
        (Connector(os.getpid()), False),
        (Connector(os.getpid(), "/usr/bin/dockerd"), True),
        (Connector(os.getpid(), os.path.realpath("/proc/self/exe")), False),
    ],
    ids=["unknown", "no pid", "another process", "the same", "another program by then", "the same program"],
)
def test_whether_it_moved(connector: Connector, *, moved: bool | None) -> None:
    document = document_of(held(), time.time(), BOOT, connector)
    assert get(document, "sockwarden.connection.moved") is moved
    told = {key: value for key, value in msgspec.to_builtins(connector).items() if value is not None}
    assert get(document, "sockwarden.connection.connector") == (told or None)


def test_what_the_kernel_noted_counts_where_nobody_knows_better() -> None:
    document = document_of(held(connected_by=1), time.time(), BOOT)
    assert get(document, "sockwarden.connection.connector") == {"pid": 1}
    assert get(document, "sockwarden.connection.moved") is True
    unknown = document_of(held(connected_by=None), time.time(), BOOT)
    assert get(unknown, "sockwarden.connection.connector") is None
    assert get(unknown, "sockwarden.connection.moved") is None


def test_a_holder_that_is_gone_has_its_pid_alone() -> None:
    document = document_of(held(start=1), time.time(), BOOT)
    assert document["process"] == {"pid": os.getpid()}
    assert "user" not in document


def test_a_holder_that_was_not_seen() -> None:
    document = document_of(held(pid=None, start=0, descriptor=None), time.time(), BOOT)
    assert get(document, "sockwarden.connection.holder_unseen") is True
    assert "process" not in document and "user" not in document
    assert get(document, "sockwarden.connection.moved") is None
    assert get(document, "sockwarden.connection.descriptor") is None


def test_names_of_any_bytes() -> None:
    abstract = held(name=b"\0a\n\xff/run/docker.sock", inode=0, device="")
    place = get(document_of(abstract, time.time(), BOOT), "sockwarden.socket")
    assert place == {"type": "abstract", "bound": "@a\n\\xff/run/docker.sock", "listener": {"inode": 17}}
    path = document_of(held(name=b"/run/\xff\n.sock"), time.time(), BOOT)
    assert get(path, "sockwarden.socket.bound") == "/run/\\xff\n.sock"
