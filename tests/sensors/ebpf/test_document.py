"""The document of an access that a program told of."""

from __future__ import annotations

import errno
from typing import Any

import msgspec
import pytest

from sockwarden.document import encode, get
from sockwarden.kql.types import ECS
from sockwarden.sensors.ebpf.document import document_of
from sockwarden.sensors.ebpf.records import Action, Context, Kind, Reached, Record

_NUMBERS: dict[str, Any] = dict.fromkeys(Context.__struct_fields__, 1)
WHO = Context(**_NUMBERS | {"capabilities": 1 << 21 | 1, "comm": b"poke", "session": 12})
BOUND = b"\1\0/run/docker.sock\0"


def record(action: Action, **changes: Any) -> Record:
    whole: dict[str, Any] = {
        "kind": Kind.ACCESS,
        "who": WHO,
        "reached": Reached(17, 12, 4242, 0x18, 7),
        "action": action,
        "family": 1,
        "bound": BOUND,
        "given": b"\1\0x.sock\0" if action is Action.CONNECT else b"x.sock\0" if action is Action.OPEN else b"",
        "executable": "/bin/poke (deleted)",
        "deleted": True,
        "directory": "/run",
        "cgroup": "0::/x",
        "given_late": True,
    }
    return Record(**whole | changes)


def document(action: Action, **changes: Any) -> dict[str, Any]:
    return document_of(record(action, **changes), rung="lsm", boot="b", offset=1_790_000_000 * 10**9)


def fields_of(value: object, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [field for key, part in value.items() for field in fields_of(part, f"{name}.{key}" if name else key)]
    return [name]


@pytest.mark.parametrize("result", [0, -errno.EACCES])
@pytest.mark.parametrize("action", [each for each in Action if each is not Action.LISTEN])
def test_every_field_has_a_type(action: Action, result: int) -> None:
    """Given a record with everything, when made a document, then each field of it is known, and it is JSON."""
    made = document(action, result=result)
    fields = {name for name in fields_of(made) if not name.startswith("_")}
    assert {name for name in fields if ECS.type_of(name) is None} == set()
    assert msgspec.json.decode(encode(made))


@pytest.mark.parametrize("action", [Action.RECEIVE, Action.DUPLICATE, Action.INHERIT])
def test_who_had_made_a_connection_that_moved(action: Action) -> None:
    """Given a connection in other hands, when told, then with its maker and by no address that anybody gave."""
    made = document(action)
    assert get(made, "sockwarden.connection") == {"inode": 4242, "connector": {"pid": 7}}
    assert get(made, "sockwarden.socket.bound") == "/run/docker.sock"
    assert get(made, "sockwarden.socket.address_as_given") is None


@pytest.mark.parametrize(
    ("result", "outcome", "code"),
    [
        (0, "success", None),
        (-errno.EACCES, "failure", "EACCES"),
        (-errno.EINPROGRESS, "unknown", "EINPROGRESS"),
        (-9999, "failure", "9999"),
    ],
)
def test_what_came_of_it(result: int, outcome: str, code: str | None) -> None:
    """Given a call's result, when told, then outcome and errno's name say it."""
    made = document(Action.CONNECT, result=result)
    assert (get(made, "event.outcome"), get(made, "error.code")) == (outcome, code)
