"""The catalogue of operations: that it is sound, and that each of its endpoints is found again."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.content import packaged
from sockwarden.requests.operations import UNKNOWN, catalogue, http_operation, operation_of, rpc_operation

TECHNIQUES = json.loads(packaged("attack.json").read_bytes())["techniques"]
ENDPOINTS = [(name, endpoint) for name, operation in catalogue().items() for endpoint in operation.http]
METHODS = [(name, method) for name, operation in catalogue().items() for method in operation.rpc]
OF_THE_ENGINE = 110
"""Endpoints of the Docker Engine API that are there at least."""


def test_every_technique_is_attacks() -> None:
    assert not [technique for one in catalogue().values() for technique in one.technique if technique not in TECHNIQUES]


def test_no_endpoint_is_two_operations() -> None:
    counts = Counter(endpoint for _, endpoint in ENDPOINTS) + Counter(method for _, method in METHODS)
    assert [endpoint for endpoint, count in counts.items() if count > 1] == []
    assert sum("/libpod/" not in endpoint for _, endpoint in ENDPOINTS) >= OF_THE_ENGINE


def test_words_are_in_one_form() -> None:
    for name, operation in catalogue().items():
        assert name == name.lower().replace("_", "-").replace(" ", "-")
        assert operation.exposes[-1] not in ".,"


@pytest.mark.parametrize(("name", "endpoint"), ENDPOINTS, ids=[endpoint for _, endpoint in ENDPOINTS])
@pytest.mark.parametrize("filling", ["x", "a.b:5000/c/d"])
def test_every_endpoint_is_found(name: str, endpoint: str, filling: str) -> None:
    method, path = endpoint.split(" ")
    first, *others = [segment for segment in path.split("/") if segment.startswith("{")] or [""]
    path = path.replace(first, filling) if first else path
    for other in others:
        path = path.replace(other, "y")
    found = http_operation(method, path)
    assert (found.operation.name, found.object) == (name, filling if first else "")


def test_every_method_is_found() -> None:
    assert rpc_operation("/runtime.v1alpha2.RuntimeService/ExecSync").operation.name == "container-exec"
    assert rpc_operation("/containerd.services.tasks.v1.Tasks/Exec").operation.name == "task-exec-create"
    assert rpc_operation("/containerd.services.tasks.v1.tasks/Exec").operation.name == UNKNOWN


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("get", "/containers/json", UNKNOWN),
        ("GET", "/Containers/json", UNKNOWN),
        ("GET", "/containers/json/", "container-list"),
        ("DELETE", "/containers/a/checkpoints/b", "container-checkpoint-delete"),
        ("GET", "/images/json/json", "image-inspect"),
        ("GET", "/libpod", UNKNOWN),
        ("GET", "*", UNKNOWN),
    ],
)
def test_what_is_nearly_an_endpoint(method: str, path: str, name: str) -> None:
    assert http_operation(method, path).operation.name == name


@given(st.text(max_size=5), st.text("/abcjson.{}*", max_size=60))
def test_any_path_is_some_operation(method: str, path: str) -> None:
    assert http_operation(method, path).operation.name in catalogue()
    assert rpc_operation(path).operation.name == UNKNOWN
    assert operation_of(path).name == UNKNOWN


def test_a_path_of_many_segments_takes_no_time() -> None:
    assert http_operation("GET", "/a" * 100_000).operation.name == UNKNOWN
