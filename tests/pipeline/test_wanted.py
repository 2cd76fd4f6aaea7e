"""What readers must not skip."""

from __future__ import annotations

import pytest

from sockwarden.cli.detections import chosen
from sockwarden.kql import parse, required_literals
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.sockets import packaged


@pytest.mark.parametrize(
    ("query", "addresses"),
    [
        ('destination.address:"/run/docker.sock"', {"docker.sock"}),
        ('a:b and destination.address:("/run/x/a.sock" or "/run/docker.sock")', {"a.sock", "docker.sock"}),
        ("destination.path:*docker.sock and a:b", {"docker.sock"}),
        ("sockwarden.socket.runtime:* and not b:c", packaged().wanted.addresses),
        ("sockwarden.socket.runtime:podman", packaged().wanted.addresses),
        ("event.dataset:sockwarden.health and event.action:audit-disabled", set()),
        ('event.dataset:"sockwarden.request" and event.action:requested', set()),
    ],
)
def test_addresses(query: str, addresses: set[str]) -> None:
    wanted = wanted_by([required_literals(parse(query))], packaged())
    assert not wanted.everything
    assert wanted.addresses == addresses


@pytest.mark.parametrize(
    "query",
    [
        "",
        "process.name:curl",
        'not destination.address:"/run/docker.sock"',
        'destination.address:"/run/docker.sock" or process.name:curl',
        'destination.address:"10.0.0.5:2375"',
        "destination.address:10.0.*",
        "destination.address:*",
    ],
)
def test_nothing_usable_means_everything(query: str) -> None:
    assert wanted_by([required_literals(parse(query))], packaged()).everything


def test_detectors_add_up() -> None:
    queries = ('destination.address:"/run/docker.sock"', 'destination.address:"/run/crio/crio.sock"')
    wanted = wanted_by([required_literals(parse(query)) for query in queries], packaged())
    assert wanted.addresses == {"docker.sock", "crio.sock"}


def test_the_packaged_rules_let_readers_skip() -> None:
    """Given every rule and signature that comes along, when a hunt asks what it wants, then it is not everything."""
    wanted = wanted_by((detection.required_literals for detection in chosen(())), packaged())
    assert not wanted.everything and "docker.sock" in wanted.addresses
