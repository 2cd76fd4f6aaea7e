"""Bodies as dictionaries: the table against the published definitions, and what hostile writers make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.requests.bodies import INCOMPLETE, answer_of, body_of, table
from sockwarden.requests.protobuf import MOST_FIELDS

FACTS = [line.split("\t") for line in Path(__file__).with_name("fields.tsv").read_text("utf-8").splitlines()]
"""By our name of a message or enumeration: a definition that it stands for, and each of its fields: number, name,
`repeated` or `-`, type. Read out of k8s.io/cri-api 0.37.2 (v1) and github.com/containerd/containerd/api 1.12.0.
"""
CREATE = "/runtime.v1.RuntimeService/CreateContainer"
SANDBOX = "/runtime.v1.RuntimeService/RunPodSandbox"
CONTAINER = "/containerd.services.containers.v1.Containers/Create"
PLAIN = {"string", "bool", "int32", "int64", "uint32", "uint64"}


def varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    return varint(number << 3 | 2) + varint(len(value)) + value


def nested(*path: int, value: bytes | int) -> bytes:
    for number in reversed(path):
        value = field(number, value)
    assert isinstance(value, bytes)
    return value


@pytest.mark.parametrize("name", sorted(table().message))
def test_fields_are_those_of_the_definitions(name: str) -> None:
    definitions = {row[1] for row in FACTS if row[0] == name}
    assert definitions
    for definition in definitions:
        facts = {int(row[2]): row[3:] for row in FACTS if row[:2] == [name, definition]}
        for number, (key, kind) in table().message[name].items():
            if number not in facts and name.endswith(".Process"):
                assert key == "exec_id"  # calls on a task have none
                continue
            assert facts[number][0] == key
            assert kind.startswith("[]") == (facts[number][1] == "repeated")
            check_kind(kind.removeprefix("[]"), facts[number][2])


def check_kind(kind: str, type_: str) -> None:
    last = type_.rpartition(".")[2]
    if kind in PLAIN:
        # Values of the environment were strings before they were bytes.
        assert kind == type_ or (kind, type_) == ("string", "bytes")
    elif kind == "map":
        assert type_ == "map<string,string>"
    elif kind in ("json", "any"):
        assert last == "Any"
    elif kind == "secret":
        assert last == "AuthConfig"
    else:
        assert kind.removeprefix("enum:").rpartition(".")[2] == last


@pytest.mark.parametrize("name", sorted(table().enum))
def test_names_are_those_of_the_definitions(name: str) -> None:
    assert table().enum[name] == {int(row[2]): row[3] for row in FACTS if row[0] == f"enum:{name}"}


def test_no_fact_and_no_message_is_an_orphan() -> None:
    named = {*table().message, *(f"enum:{name}" for name in table().enum)}
    assert {row[0] for row in FACTS} == named
    kinds = {kind.removeprefix("[]") for rows in table().message.values() for _, kind in rows.values()}
    used = {name for names in table().method.values() for name in names} | kinds | set(table().typed.values())
    assert named <= used <= named | PLAIN | {"", "map", "json", "any", "secret"}
    assert not any(key == INCOMPLETE for rows in table().message.values() for key, _ in rows.values())


def test_a_method_whose_body_is_not_read() -> None:
    assert body_of("/runtime.v1.RuntimeService/Version", b"\n\1x") is None
    assert answer_of("/runtime.v1.RuntimeService/Version", b"\n\1x") == {}


def test_both_versions_of_the_cri() -> None:
    body = field(2, b"kata")
    assert body_of(SANDBOX, body) == {"runtime_handler": "kata"}
    assert body_of(SANDBOX.replace("v1", "v1alpha2"), body) == {"runtime_handler": "kata"}


def test_the_last_scalar_counts_and_messages_are_merged() -> None:
    body = nested(1, 8, 2, 6, value=1) + nested(1, 8, 2, 1, 1, value=2) + nested(1, 2, value=b"a")
    body += nested(1, 2, value=b"b") + field(1, b"")
    security = {"namespace_options": {"network": "NODE"}, "privileged": True}
    assert body_of(SANDBOX, body) == {"config": {"hostname": "b", "linux": {"security_context": security}}}


def test_numbers() -> None:
    groups = b"".join(nested(1, 8, 2, 5, value=value) for value in (7, -1, varint(8) + varint(9)))
    user = nested(1, 8, 2, 3, 1, value=-1)
    port = nested(1, 5, value=field(2, (1 << 32) + 80) + field(3, -1) + field(1, 99))
    assert body_of(SANDBOX, groups + user + port) == {
        "config": {
            "port_mappings": [{"protocol": 99, "container_port": 80, "host_port": -1}],
            "linux": {"security_context": {"run_as_user": {"value": -1}, "supplemental_groups": [7, -1, 8, 9]}},
        }
    }


def test_secrets_are_only_told_to_be_there() -> None:
    body = nested(1, 1, value=b"image") + field(2, field(1, b"user") + field(2, b"password"))
    told = body_of("/runtime.v1.ImageService/PullImage", body)
    assert told == {"image": {"image": "image"}, "auth": True}
    assert body_of("/runtime.v1.ImageService/PullImage", body[:-3]) == {**told, INCOMPLETE: True}


def test_a_container_with_its_specification() -> None:
    spec = field(1, b"types.containerd.io/opencontainers/runtime-spec/1/Spec") + field(
        2, b'{"process":{"args":["sh"]}}'
    )
    options = field(1, b"type.googleapis.com/containerd.runc.v1.Options") + field(2, field(6, b"/srv/runc"))
    body = field(1, field(1, b"c") + field(4, field(1, b"r") + field(2, options)) + field(5, spec))
    runtime = {
        "name": "r",
        "options": {"type_url": "type.googleapis.com/containerd.runc.v1.Options", "binary_name": "/srv/runc"},
    }
    assert body_of(CONTAINER, body) == {
        "container": {"id": "c", "runtime": runtime, "spec": {"process": {"args": ["sh"]}}}
    }


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (b'{"a":"\xff"}', {"a": "\ufffd"}),
        (b'{"a":{"b":1},"a":{"c":2},"A":3}', {"a": {"b": 1, "c": 2}, "A": 3}),
        (b'{"a":["x","y"],"a":[null]} and more', {"a": ["x"]}),
    ],
)
def test_a_specification_is_read_as_go_reads_it(value: bytes, spec: dict[str, Any]) -> None:
    body = nested(1, 5, value=field(1, b"x") + field(2, value))
    assert body_of(CONTAINER, body) == {"container": {"spec": spec}}


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"1", b"[" * 5000, b"\x0a\x01a"])
def test_a_specification_that_is_not_json(value: bytes) -> None:
    body = nested(1, 5, value=field(1, b"x") + field(2, value))
    assert body_of(CONTAINER, body) == {"container": {"spec": {}}, INCOMPLETE: True}


@pytest.mark.parametrize(
    "rest",
    [
        b"\x0b\x0c",  # a group
        varint(1 << 35 | 1 << 3 | 2) + b"\0",  # field 1 to those that cut the tag to 32 bits
        b"\x02\x00",  # field 0
        b"\x08" + b"\xff" * 9 + b"\x7f",  # a varint of more than 64 bits
        b"\x0f",  # no wire type
        b"\x0d\x00\x00",  # half of a fixed number
        b"\x08",
        b"\x12\x05ab",
        field(40, b"") * (MOST_FIELDS + 1),
    ],
)
def test_what_readers_may_differ_about_is_incomplete(rest: bytes) -> None:
    body = nested(1, 2, value=b"h")
    assert body_of(SANDBOX, body + rest) == {"config": {"hostname": "h"}, INCOMPLETE: True}


def test_fixed_numbers_are_read_over() -> None:
    assert body_of(SANDBOX, b"\x09" + bytes(8) + b"\x0d" + bytes(4) + field(2, b"r")) == {"runtime_handler": "r"}


def test_a_cut_body_tells_what_is_in_it() -> None:
    body = nested(2, 15, 2, 2, value=1) + field(2, field(3, b"sh") + field(3, b"-c"))
    assert body_of(CREATE, body[:-1]) == {
        "config": {"command": ["sh"], "linux": {"security_context": {"privileged": True}}},
        INCOMPLETE: True,
    }


def test_text_that_is_not_utf8() -> None:
    assert body_of(SANDBOX, field(2, b"a\xffb")) == {"runtime_handler": "a\\xffb"}


@given(st.sampled_from(sorted(table().method)), st.binary(max_size=200))
def test_anything_has_a_dictionary_that_is_json(method: str, body: bytes) -> None:
    for told in (body_of(method, body), answer_of(method, body)):
        msgspec.json.encode(told)
