"""Tracee's events to documents: golden pairs, and what no input may do.

A pair is tracee/NAME.jsonl, raw lines, and tracee/NAME.json, for each line the document, null or the error's reason.
REWRITE_GOLDEN=1 writes the second from the first; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.document import get
from sockwarden.errors import InputError
from sockwarden.readers.ndjson import decode
from sockwarden.readers.tracee import recognise, to_document

FOLDER = Path(__file__).parent / "tracee"
INPUTS = sorted(FOLDER.glob("*.jsonl"))


def lines(name: str) -> list[bytes]:
    return (FOLDER / f"{name}.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")


def translated(line: bytes) -> Any:
    try:
        return to_document(decode(line))
    except InputError as error:
        return {"error": error.why}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_golden_pair(path: Path) -> None:
    documents = [translated(line) for line in lines(path.stem)]
    golden = path.with_suffix(".json")
    if os.environ.get("REWRITE_GOLDEN"):
        each = ",\n".join(json.dumps(document, sort_keys=True) for document in documents)
        golden.write_text(f"[\n{each}\n]\n", encoding="utf-8")
    assert documents == json.loads(golden.read_text(encoding="utf-8"))


def test_no_golden_file_is_an_orphan() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in INPUTS} != set()


def test_what_is_tracees() -> None:
    for name in ("classic-connect", "classic-open", "v1beta1-connect", "v1beta1-open"):
        assert all(recognise(decode(line)) for line in lines(name))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"@timestamp": "2024-11-10T10:29:27Z", "event": {"code": "security_socket_connect"}},
        {"eventVersion": "1.08", "eventTime": "2024-11-10T10:29:27Z", "eventName": "DescribeInstances"},
        {"name": "disk", "timestamp": 1731234567, "data": {"used": 7}},
        {"name": "disk", "timestamp": 1731234567, "data": [7]},
        {"name": 7, "timestamp": 1731234567, "workload": {}},
    ],
)
def test_what_is_not_tracees(event: dict[str, Any]) -> None:
    assert not recognise(event)


def test_id_does_not_hang_on_the_order_of_members() -> None:
    event = decode(lines("classic-connect")[0])
    turned = dict(reversed(event.items()))
    first, second = to_document(event), to_document(turned)
    assert first is not None and second is not None
    assert first["_id"] == second["_id"] and len(first["_id"]) == 64
    changed = to_document({**event, "hostProcessId": 40999})
    assert changed is not None and changed["_id"] != first["_id"]


def test_original_is_the_event_itself() -> None:
    for name in ("classic-connect", "v1beta1-open"):
        for line in lines(name):
            document = to_document(decode(line))
            assert document is not None and json.loads(document["event"]["original"]) == json.loads(line)


def test_all_three_spellings_of_v1beta1_say_the_same() -> None:
    documents = [to_document(decode(line)) for line in lines("v1beta1-connect")[:3]]
    for document in documents:
        assert document is not None
        del document["_id"], document["event"]["original"]
    assert documents[0] == documents[1] == documents[2]


def test_deep_nesting_is_an_error_and_no_more() -> None:
    line = b'{"eventName":"security_file_open","timestamp":1,"args":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(InputError):
        decode(line)
    event: dict[str, Any] = {"eventName": "security_file_open", "timestamp": 1}
    inner: dict[str, Any] = event
    for _ in range(200_000):
        inner["args"] = inner = {}
    with pytest.raises(InputError):
        to_document(event)


def test_what_json_cannot_hold_is_an_error() -> None:
    circular: dict[str, Any] = {"eventName": "security_file_open", "timestamp": 1}
    circular["args"] = [circular]
    for event in (circular, {**circular, "args": b"raw"}, {**circular, "args": [], "cgroupId": 10**5000}):
        with pytest.raises(InputError):
            to_document(event)


TEXT = st.text(st.characters(codec=None), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
REAL = [
    decode(line)
    for path in INPUTS
    if path.stem not in ("malformed", "other-kinds")
    for line in path.read_bytes().removesuffix(b"\n").split(b"\n")
]


def paths_of(value: Any, so_far: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The place of every member of an event."""
    members: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [(*so_far, key) for key, _ in members] + [
        deeper for key, member in members for deeper in paths_of(member, (*so_far, key))
    ]


@st.composite
def damaged_events(draw: st.DrawFn) -> dict[str, Any]:
    """A real event with some members replaced by anything."""
    event: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(paths_of(event)))
        place: Any = event
        for step in way:
            place = place[step]
        place[last] = draw(JSON)
    return event


@given(damaged_events() | st.dictionaries(TEXT, JSON))
def test_any_object_gives_a_document_nothing_or_an_input_error(event: dict[str, Any]) -> None:
    recognise(event)
    try:
        document = to_document(event)
    except InputError as error:
        assert error.why
        return
    if document is not None:
        msgspec.json.encode(document)
        assert get(document, "sockwarden.actor.origin") in ("host", "container", "container-init")


@given(st.binary(max_size=200))
def test_any_line_gives_an_object_or_an_input_error(line: bytes) -> None:
    for text in (line, b'{"eventName":"security_file_open","timestamp":1,"hostName":"' + line + b'"}'):
        try:
            event = decode(text)
            document = to_document(event)
        except InputError:
            continue
        assert isinstance(event, dict)
        if document is not None:
            msgspec.json.encode(document)


@given(st.text(max_size=12))
def test_an_address_is_kept_as_tracee_gives_it(path: str) -> None:
    event = decode(lines("classic-connect")[0])
    event["args"] = [{"name": "remote_addr", "value": {"sa_family": "AF_UNIX", "sun_path": path}}]
    document = to_document(event)
    assert document is not None
    assert get(document, "sockwarden.socket.address_as_given") == (path or None)
