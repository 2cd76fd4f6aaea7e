"""Which executables serve a runtime's API, by the packaged data."""

from __future__ import annotations

import msgspec
import pytest

from sockwarden.content import packaged as data
from sockwarden.sockets import packaged
from sockwarden.sockets.daemons import Daemons, is_control


@pytest.mark.parametrize(
    ("executable", "runtime"),
    [
        ("/usr/bin/dockerd", "docker"),
        ("/usr/sbin/dockerd (deleted)", "docker"),
        ("/snap/docker/2915/bin/dockerd", "docker"),
        ("/usr/bin/containerd", "containerd"),
        ("/var/lib/rancher/k3s/data/0123/bin/containerd", "containerd"),
        ("/usr/bin/containerd-shim-runc-v2", "containerd"),
        ("/usr/bin/crio", "cri-o"),
        ("/usr/bin/podman", "podman"),
        ("/usr/local/bin/buildkitd", "buildkit"),
        ("/usr/bin/balena-engine-daemon", "balena"),
        ("/usr/bin/cri-dockerd", "cri-dockerd"),
        ("/usr/bin/docker-proxy", None),
        ("/usr/bin/kubelet", None),
        ("/usr/lib/systemd/systemd", None),
        ("/home/ada/usr/bin/dockerd", None),
        ("/usr/bin/dockerd\n", None),
        ("/snap/docker/1/2/bin/dockerd", None),
        ("", None),
    ],
)
def test_serving(executable: str, runtime: str | None) -> None:
    daemon = Daemons(packaged()).serving(executable)
    assert (daemon.runtime if daemon else None) == runtime


def test_every_daemon_has_executables() -> None:
    components = {one["name"] for one in msgspec.toml.decode(data("components.toml").read_bytes())["component"]}
    for daemon in packaged().daemons:
        assert bool(daemon.executable) != (daemon.component in components), daemon.name


@pytest.mark.parametrize(
    ("executable", "path", "control"),
    [
        ("/usr/bin/dockerd", "/srv/engine.sock", True),
        ("/usr/bin/dockerd", "/run/docker/libnetwork/0123456789ab.sock", False),
        ("/usr/bin/dockerd", "/srv/exec/libnetwork/0123456789ab.sock", False),
        ("/usr/bin/dockerd", "/run/docker/metrics.sock", False),
        ("/usr/bin/dockerd", "/srv/libnetwork/of/engine.sock", True),
        ("/usr/bin/buildkitd", "/run/buildkit/otel-grpc.sock", False),
        ("/usr/bin/containerd", "/srv/containerd.sock.ttrpc", True),
    ],
)
def test_is_control(executable: str, path: str, control: bool) -> None:
    daemon = Daemons(packaged()).serving(executable)
    assert daemon
    assert is_control(daemon, path) is control
