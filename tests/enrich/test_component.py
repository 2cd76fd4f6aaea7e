"""Which component an executable claims to be; what is near such a path is none."""

from __future__ import annotations

import pytest

from sockwarden.document import Document
from sockwarden.enrich import name_component


@pytest.mark.parametrize(
    ("executable", "component"),
    [
        ("/usr/bin/kubelet", "kubelet"),
        ("/usr/bin/containerd", "containerd"),
        ("/snap/docker/2932/bin/containerd", "containerd"),
        ("/usr/bin/containerd-shim-runc-v2", "containerd-shim"),
        ("/usr/bin/dockerd", "dockerd"),
        ("/var/lib/snapd/snap/docker/2932/usr/bin/dockerd", "dockerd"),
        ("/usr/libexec/docker/docker-proxy", "docker-proxy"),
        ("/usr/bin/crio", "crio"),
        ("/usr/bin/cri-dockerd", "cri-dockerd"),
        ("/usr/bin/buildkitd", "buildkitd"),
        ("/var/lib/rancher/k3s/data/0123abcd/bin/k3s", "k3s"),
        ("/usr/local/bin/k0s", "k0s"),
        ("/snap/microk8s/7229/kubelite", "kubelite"),
        ("/usr/bin/balena-engine-daemon", "balena-engine-daemon"),
        ("/usr/sbin/runc", "runc"),
        ("/usr/lib/systemd/systemd", "systemd"),
        ("/usr/bin/docker", None),
        ("/usr/bin/ctr", None),
        ("/usr/bin/dockerd (deleted)", None),
        ("/usr/bin/dockerd\n", None),
        ("/usr/bin/Dockerd", None),
        ("/srv/usr/bin/dockerd", None),
        ("/var/lib/x/usr/bin/dockerd", None),
        ("/snap/docker/a/b/bin/containerd", None),
        ("/snap/docker/bin/containerd", None),
        ("/snap/microk8s/7229/x/kubelite", None),
        ("dockerd", None),
        ("/", None),
        ("", None),
    ],
)
def test_component(executable: str, component: str | None) -> None:
    document: Document = {"process": {"executable": executable}}
    name_component(document)
    assert document.get("sockwarden", {}).get("actor", {}).get("component") == component


@pytest.mark.parametrize("document", [{}, {"process": None}, {"process": {"executable": ["/usr/bin/dockerd"]}}])
def test_no_executable_claims_nothing(document: Document) -> None:
    before = repr(document)
    name_component(document)
    assert repr(document) == before
