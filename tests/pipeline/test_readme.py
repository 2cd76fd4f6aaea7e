"""What the README says is seen, and what not: one access a row, through the whole hunt."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sockwarden.cli.detections import chosen
from sockwarden.document import get
from sockwarden.pipeline.hunt import Hunt
from sockwarden.readers import plan

DATA = Path(__file__).parents[1] / "data" / "captures"
PUBLISHED, OURS = "370ef41f-cd05-430f-860a-01b91e046c95", "919466d8-1e27-49cd-9325-19641e01f7bc"
EVENT = b":300452)"
"""The capture's plain connect by /opt/lab/poke to /run/docker.sock."""
SADDR = b"01002F72756E2F646F636B65722E736F636B00"


def unix(path: str, *, abstract: bool = False) -> bytes:
    name = path.encode().hex().upper().encode()
    return b"010000" + name if abstract else b"0100" + name + b"00"


def inet(port: int) -> bytes:
    return b"0200%04X0A000005" % port + b"00" * 8


@pytest.mark.parametrize(
    ("saddr", "executable", "alerts"),
    [
        (SADDR, "/opt/lab/poke", {PUBLISHED, OURS}),
        (unix("/run/crio/crio.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/user/1000/podman/podman.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/buildkit/buildkitd.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/k3s/containerd/containerd.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/k0s/containerd.sock"), "/opt/lab/poke", {OURS}),
        (unix("/var/snap/microk8s/common/run/containerd.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/balena-engine.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/docker/plugins/x.sock"), "/opt/lab/poke", {OURS}),
        (unix("/run/containerd/s/0123abcd"), "/opt/lab/poke", {OURS}),
        (unix("/containerd-shim/a.sock", abstract=True), "/opt/lab/poke", {OURS}),
        (inet(2375), "/opt/lab/poke", {OURS}),
        (inet(2376), "/opt/lab/poke", {OURS}),
        (inet(443), "/opt/lab/poke", set()),
        (unix("/run/docker.sock", abstract=True), "/opt/lab/poke", set()),
        (SADDR, "/usr/bin/kubelet", set()),
        (SADDR, "/var/lib/x/y/usr/bin/dockerd", {OURS}),
    ],
)
def test_what_is_seen(saddr: bytes, executable: str, alerts: set[str], tmp_path: Path) -> None:
    lines = [line for line in (DATA / "inode-rules.audit.log").read_bytes().splitlines() if EVENT in line]
    if saddr != SADDR:
        lines = [line.replace(b"items=1", b"items=0") for line in lines if b"type=PATH" not in line]
    log = tmp_path / "audit.log"
    log.write_bytes(b"\n".join(lines).replace(SADDR, saddr).replace(b"/opt/lab/poke", executable.encode()))
    found = Hunt(chosen(())).alerts(plan([str(log)]))
    assert {get(alert, "kibana.alert.rule.rule_id") for alert in found} == alerts


def test_hostile_ways_in_the_recordings() -> None:
    with (DATA / "inode-rules.truth.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    # The last row of a scenario is the attacker's own; before it stands the CLI that started the container.
    last = {row["scenario"]: row for row in rows if row["scenario"] not in ("container-benign", "host-other-socket")}
    assert len(last) == 19
    assert sum(row["literal_rule"] == "yes" for row in last.values()) == 7
    missed = {name for name, row in last.items() if row["canonical_rule"] == "no" and row["kind"] != "open"}
    assert missed == {"container-masquerade"}
