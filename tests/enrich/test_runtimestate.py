"""Names of containers from state on disk, as docker, containerd, podman and crio write it; hostile files too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.enrich import boltdb
from sockwarden.enrich.runtimestate import Description, Pod, RuntimeState

ID = "a1" * 32
TASKS = "state/io.containerd.runtime.v2.task"


@pytest.fixture
def state(tmp_path: Path) -> RuntimeState:
    return RuntimeState(
        docker=[f"{tmp_path}/docker"],
        containerd=[(f"{tmp_path}/state", f"{tmp_path}/root")],
        storage=[f"{tmp_path}/storage"],
        owner=os.getuid(),
    )


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(0o600)
    return path


def docker_config(folder: Path, **more: Any) -> Path:
    config = {"ID": ID, "Name": "/web", "Config": {"Image": "nginx:1", "Labels": {}}, **more}
    return write(folder / "containers" / ID / "config.v2.json", config)


def test_docker(state: RuntimeState, tmp_path: Path) -> None:
    docker_config(tmp_path / "docker")
    assert state.describe(ID, "docker", None) == Description("docker", "web", "nginx:1")
    assert state.describe(ID, None, None) == Description("docker", "web", "nginx:1")
    assert state.describe(ID, "podman", None) is None
    assert state.describe("b" * 64, "docker", None) is None


def test_docker_pod(state: RuntimeState, tmp_path: Path) -> None:
    labels = {"io.kubernetes.pod.name": "p", "io.kubernetes.pod.namespace": "ns", "io.kubernetes.container.name": "c"}
    docker_config(tmp_path / "docker", Config={"Image": "i", "Labels": labels})
    assert state.describe(ID, None, None) == Description("docker", "web", "i", Pod("p", "ns", "", "c"))


def test_docker_elsewhere_by_its_argv(state: RuntimeState, tmp_path: Path) -> None:
    docker_config(tmp_path / "other")
    assert state.describe(ID, "docker", None) is None
    state.learn("dockerd", ["dockerd", f"--data-root={tmp_path}/other"], "/")
    assert state.describe(ID, "docker", None) == Description("docker", "web", "nginx:1")


def test_docker_elsewhere_by_what_its_bundle_mounts(state: RuntimeState, tmp_path: Path) -> None:
    docker_config(tmp_path / "other")
    entry = {"args": ["/bin/web", "-v"]}
    mounts = [{"destination": "/proc", "source": "proc"}, {"source": f"{tmp_path}/other/containers/{ID}/resolv.conf"}]
    write(tmp_path / TASKS / "moby" / ID / "config.json", {"mounts": mounts, "process": entry})
    assert state.describe(ID, "docker", None) == Description("docker", "web", "nginx:1", command=("/bin/web", "-v"))


def test_containerd_by_its_bundle(state: RuntimeState, tmp_path: Path) -> None:
    bundle = write(tmp_path / TASKS / "default" / "web" / "config.json", {"ociVersion": "1"})
    assert state.describe("web", "containerd", "default") == Description("containerd", "web", namespace="default")
    first = state.generation("default", "web")
    assert first is not None
    assert state.generation("other", "web") is None
    assert state.generation("default", "../default/web") is None
    bundle.unlink()
    assert state.generation("default", "web") is None


def test_cri(state: RuntimeState, tmp_path: Path) -> None:
    notes = {
        f"io.kubernetes.cri.{key}": value
        for key, value in {
            "container-type": "container",
            "container-name": "app",
            "sandbox-name": "shop-7",
            "sandbox-namespace": "prod",
            "sandbox-uid": "u-1",
            "image-name": "registry/app:2",
        }.items()
    }
    write(tmp_path / TASKS / "k8s.io" / ID / "config.json", {"annotations": notes})
    pod = Pod("shop-7", "prod", "u-1", "app")
    assert state.describe(ID, None, None) == Description("containerd", "app", "registry/app:2", pod, "k8s.io")


def test_a_shim_tells_where_the_state_is(tmp_path: Path) -> None:
    state = RuntimeState(owner=os.getuid())
    write(tmp_path / TASKS / "default" / "web" / "config.json", {})
    assert state.generation("default", "web") is None
    state.learn("containerd-shim", ["containerd-shim-runc-v2"], f"{tmp_path}/{TASKS}/default/another")
    assert state.generation("default", "web") is not None


def test_containerd_config_tells_where_the_state_is(tmp_path: Path) -> None:
    state = RuntimeState(owner=os.getuid())
    config = write(tmp_path / "config.toml", f'version = 2\nstate = "{tmp_path}/state"\n')
    write(tmp_path / TASKS / "default" / "web" / "config.json", {})
    state.learn("containerd", ["containerd", "--config", str(config)], "/")
    assert state.generation("default", "web") is not None


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({}, Description("podman", "web", "docker.io/x:1")),
        (
            {
                "io.kubernetes.cri-o.ImageName": "quay/x:2",
                "io.kubernetes.pod.name": "p",
                "io.kubernetes.pod.uid": "u",
                "io.kubernetes.container.name": "c",
            },
            Description("crio", "c", "quay/x:2", Pod("p", "", "u", "c")),
        ),
    ],
)
def test_container_storage(state: RuntimeState, tmp_path: Path, notes: dict[str, str], expected: Description) -> None:
    folder = tmp_path / "storage" / "overlay-containers"
    metadata = json.dumps({"image-name": "docker.io/x:1", "name": "web"})
    write(folder / "containers.json", [{"id": "b" * 64}, {"id": ID, "names": ["web"], "metadata": metadata}])
    write(folder / ID / "userdata" / "config.json", {"annotations": notes})
    assert state.describe(ID, None, None) == expected


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"Name": 1}', '{"Config": {"Labels": [1]}}', "[" * 100_000, "\x00", '{"Name": "\\ud800"}', "null"],
)
def test_hostile_files_say_nothing(state: RuntimeState, tmp_path: Path, content: str) -> None:
    write(tmp_path / "docker" / "containers" / ID / "config.v2.json", content)
    write(tmp_path / "storage" / "overlay-containers" / "containers.json", content)
    write(tmp_path / TASKS / "default" / ID / "config.json", content)
    found = state.describe(ID, None, None)
    assert found is None or not (found.name or found.image)


def test_a_file_that_others_may_write_is_not_believed(state: RuntimeState, tmp_path: Path) -> None:
    config = docker_config(tmp_path / "docker")
    config.chmod(0o620)
    assert state.describe(ID, "docker", None) is None


def test_a_link_a_fifo_and_a_huge_file_are_not_read(state: RuntimeState, tmp_path: Path) -> None:
    config = docker_config(tmp_path / "docker")
    kept = config.rename(tmp_path / "kept")
    config.symlink_to(kept)
    assert state.describe(ID, "docker", None) is None
    config.unlink()
    os.mkfifo(config, 0o600)
    assert state.describe(ID, "docker", None) is None
    config.unlink()
    docker_config(tmp_path / "docker", padding="x" * (5 << 20))
    assert state.describe(ID, "docker", None) is None


@given(st.binary(max_size=5000))
def test_what_is_no_database_has_no_values(content: bytes) -> None:
    descriptor = os.memfd_create("meta.db")
    try:
        os.write(descriptor, content)
        assert boltdb.value(descriptor, (b"v1", b"default", b"containers", b"web", b"image")) is None
    finally:
        os.close(descriptor)
