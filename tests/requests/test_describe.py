"""Whatever is asked is described: nothing raises, and nothing grows with what a peer sends."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.requests.describe import describe, returned
from sockwarden.requests.facts.shape import MOST_TEXT
from sockwarden.requests.grading import grade
from sockwarden.requests.message import Answered, Asked

TARGETS = [
    "/containers/create",
    "/v1.47/containers/a/exec",
    "/libpod/containers/create",
    "/libpod/pods/create",
    "/volumes/create",
    "/plugins/pull?remote=x",
    "/services/create",
    "/build?buildargs={&t=a",
    "/swarm/join",
]
METHODS = [
    "/runtime.v1.RuntimeService/CreateContainer",
    "/runtime.v1.RuntimeService/RunPodSandbox",
    "/containerd.services.containers.v1.Containers/Create",
    "/containerd.services.tasks.v1.Tasks/Create",
    "/containerd.services.tasks.v1.Tasks/Exec",
]
NAMES = [
    *("Image", "Cmd", "Env", "HostConfig", "Binds", "Mounts", "Devices", "PidMode", "Privileged", "VolumeOptions"),
    *("DriverConfig", "Options", "device", "name", "mounts", "volumes", "pidns", "nsmode", "namespaces"),
    *("TaskTemplate", "ContainerSpec", "Privileges", "Seccomp", "process", "linux"),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["/", "host", "/:/x:rshared", "A=b", ""])
    | st.text(max_size=9)
)
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=30,
)


@given(st.sampled_from(TARGETS), BODIES, st.booleans(), st.integers(0, 2000))
def test_any_json(target: str, body: object, truncated: bool, length: int) -> None:
    data = json.dumps(body).encode()[:length]
    described = describe(Asked(0, "http/1.1", "POST", target, (), data, None, truncated), store_bodies=True)
    grade(msgspec.to_builtins(described), {"origin": "host"})


@given(st.sampled_from(METHODS), st.binary(max_size=200), st.booleans())
def test_any_message(method: str, data: bytes, truncated: bool) -> None:
    described = describe(Asked(0, "grpc", method, "", (), data, len(data), truncated))
    grade(msgspec.to_builtins(described), {"origin": "host"})
    returned(described.operation, Answered(0, 0, data), method)


@given(st.text(max_size=8), st.text(st.characters(max_codepoint=255), max_size=60), st.binary(max_size=60))
def test_any_request(method: str, target: str, data: bytes) -> None:
    described = describe(Asked(0, "http/1.1", method, target, (("user-agent", target),), data, len(data)))
    msgspec.json.encode(described)
    returned(described.operation, Answered(0, 500, data), method)


def test_long_texts_are_cut() -> None:
    target = (
        "/containers/"
        + "x" * 50_000
        + "/archive?path=/"
        + "y" * 50_000
        + "&"
        + "&".join(f"k{n}=v" for n in range(5000))
    )
    described = describe(Asked(0, "http/1.1", "GET", target, (("user-agent", "z" * 50_000),)))
    assert len(described.object) == len(described.summary) == MOST_TEXT
    assert len(msgspec.json.encode(described)) < 12 * MOST_TEXT


@pytest.mark.parametrize("filling", [b"\xff" * 900, "\U0001d54f".encode() * 225])
def test_no_description_is_larger_than_a_message(filling: bytes) -> None:
    binds = b",".join(b'"/%d%b:/x"' % (number, filling) for number in range(64))
    data = b'{"HostConfig":{"Binds":[%b]}}' % binds
    query = "&".join(f"k{number}={'%F0%9D%95%8F' * 200}" for number in range(64))
    described = describe(Asked(0, "http/1.1", "POST", f"/containers/create?{query}", (), data), store_bodies=True)
    assert described.container is not None and described.container.omitted
    assert len(msgspec.msgpack.encode(described)) < 128 << 10


def test_a_body_is_only_kept_where_that_is_asked_for_and_it_is_no_secret() -> None:
    data = b'{"Name":"k","Data":"c2VlZA=="}'
    assert describe(Asked(0, "http/1.1", "POST", "/volumes/create", (), data, len(data))).body == ""
    assert describe(Asked(0, "http/1.1", "POST", "/secrets/create", (), data, len(data)), store_bodies=True).body == ""
    kept = describe(Asked(0, "http/1.1", "POST", "/volumes/create", (), data, len(data)), store_bodies=True).body
    assert json.loads(kept) == {"Name": "k", "Data": "[redacted]"}
