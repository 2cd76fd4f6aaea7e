"""Real recordings: every verdict of their truth tables, from every form of the same log."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from sockwarden.detect import RuleDetection
from sockwarden.document import get
from sockwarden.pipeline.hunt import Hunt
from sockwarden.readers import plan
from sockwarden.rules import load_packaged, select

DATA = Path(__file__).parents[1] / "data" / "captures"
CAPTURES = sorted(path.name.removesuffix(".audit.log") for path in DATA.glob("*.audit.log"))
PUBLISHED = "unusual-process-connection-runtime-socket"


def truth(capture: str) -> list[dict[str, str]]:
    with (DATA / f"{capture}.truth.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def hunt(*paths: Path, literal: bool = False) -> list[dict[str, object]]:
    (rule,) = select(load_packaged(), PUBLISHED)
    run = Hunt([RuleDetection(rule)], literal=literal)
    alerts = list(run.alerts(plan([str(path) for path in paths])))
    assert not run.failures
    assert not run.met.tally.rejected
    return alerts


def uuids(alerts: list[dict[str, object]]) -> list[str]:
    return sorted(get(alert, "kibana.alert.uuid") for alert in alerts)


def test_there_are_captures() -> None:
    assert len(CAPTURES) == 3


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize(("literal", "verdict"), [(False, "canonical_rule"), (True, "literal_rule")])
def test_the_published_rule_alerts_as_the_truth_says(capture: str, literal: bool, verdict: str) -> None:
    alerts = hunt(DATA / f"{capture}.audit.log", literal=literal)
    expected = sorted(int(row["serial"]) for row in truth(capture) if row[verdict] == "yes")
    assert sorted(get(alert, "event.sequence") for alert in alerts) == expected


@pytest.mark.parametrize("capture", CAPTURES)
def test_each_alert_says_what_the_truth_says(capture: str) -> None:
    rows = {int(row["serial"]): row for row in truth(capture)}
    for alert in hunt(DATA / f"{capture}.audit.log"):
        row = rows[get(alert, "event.sequence")]
        assert get(alert, "process.executable") == row["executable"]
        assert get(alert, "sockwarden.socket.address_as_given") == row["address_as_given"]
        assert get(alert, "sockwarden.socket.canonical") == "/run/docker.sock"
        assert get(alert, "event.outcome") == {"yes": "success", "no": "failure"}[row["success"]]
        inode, device = get(alert, "sockwarden.socket.inode"), get(alert, "sockwarden.socket.device")
        assert f"{inode}@{device}" == row["inode@dev"]
        plain = row["address_as_given"] in ("/run/docker.sock", "/var/run/docker.sock")
        assert get(alert, "sockwarden.alert.view") == ("both" if plain else "canonical")


@pytest.mark.parametrize(
    ("scenario", "alias"),
    [
        ("host-relative", "relative"),
        ("host-dotdot", "dot-segments"),
        ("host-doubleslash", "dot-segments"),
        ("host-symlink", "symlink-or-mount"),
        ("container-renamed-mount", "symlink-or-mount"),
        ("container-dir-mount", "symlink-or-mount"),
        ("container-ia32", None),
        ("container-io_uring", None),
    ],
)
def test_alias_kinds(scenario: str, alias: str | None) -> None:
    (row,) = [
        row
        for row in truth("inode-rules")
        if row["scenario"] == scenario and row["kind"] != "open" and row["executable"] != "/usr/bin/docker"
    ]
    (alert,) = [
        alert for alert in hunt(DATA / "inode-rules.audit.log") if get(alert, "event.sequence") == int(row["serial"])
    ]
    assert get(alert, "sockwarden.socket.alias") == alias


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_form_of_a_log_gives_the_same_alerts(capture: str, tmp_path: Path) -> None:
    log = DATA / f"{capture}.audit.log"
    lines = log.read_bytes().splitlines(keepends=True)
    third = len(lines) // 3
    rotated = tmp_path / "rotated"
    rotated.mkdir()
    # The cuts fall inside events.
    (rotated / "audit.log.2.gz").write_bytes(gzip.compress(b"".join(lines[: third + 1])))
    (rotated / "audit.log.1").write_bytes(b"".join(lines[third + 1 : 2 * third + 2]))
    (rotated / "audit.log").write_bytes(b"".join(lines[2 * third + 2 :]))
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    raw = tmp_path / "raw.log"
    raw.write_bytes(b"".join(line.split(b"\x1d")[0].rstrip(b"\n") + b"\n" for line in lines))
    named = tmp_path / "named.log"
    named.write_bytes(b"".join(b"node=web1 " + line for line in lines))
    expected = uuids(hunt(log))
    assert expected
    for form in (rotated, packed, raw, named):
        assert uuids(hunt(form)) == expected


def test_a_copy_of_a_log_adds_no_alert(tmp_path: Path) -> None:
    log = DATA / "inode-rules.audit.log"
    (tmp_path / "copy.log").write_bytes(log.read_bytes())
    assert uuids(hunt(log, tmp_path / "copy.log")) == uuids(hunt(log))


def test_our_rule_sees_an_alias_only_by_the_canonical_address() -> None:
    (rule,) = select(load_packaged(), "unusual-process-runtime-socket-access")
    run = Hunt([RuleDetection(rule)])
    views = {
        get(alert, "sockwarden.socket.address_as_given"): get(alert, "sockwarden.alert.view")
        for alert in run.alerts(plan([str(DATA / "inode-rules.audit.log")]))
    }
    assert views["/tmp/x"] == views["docker.sock"] == "canonical"  # noqa: S108 - as captured
    assert views["/run/docker.sock"] == views["/var/run/docker.sock"] == "both"


def test_records_without_their_call_are_undecided(tmp_path: Path) -> None:
    """SOCKADDR and PATH of the socket, while SYSCALL was lost: no alert can say who it was, and it is not silent."""
    lines = (DATA / "inode-rules.audit.log").read_bytes().splitlines(keepends=True)
    log = tmp_path / "cut.log"
    log.write_bytes(b"".join(line for line in lines if b":300457)" in line and b"type=SYSCALL" not in line))
    (rule,) = select(load_packaged(), PUBLISHED)
    whole = tmp_path / "whole.log"
    whole.write_bytes(log.read_bytes().replace(b"2F6F70742F6C61622F6C2E736F636B", b"2F72756E2F646F636B65722E736F636B"))
    run = Hunt([RuleDetection(rule)])
    assert not list(run.alerts(plan([str(whole)])))
    assert run.met.undecided == 1
