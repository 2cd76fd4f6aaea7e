"""The doctor on the real kernel: what it says of audit, and its canary."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bpf import programs_in_kernel
from runtimes import until
from watching import SENSORS

from sockwarden.pipeline import rules_file
from sockwarden.sensors.audit import rules_for
from sockwarden.sensors.audit.protocol import Control

pytestmark = pytest.mark.host

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
SOCKET = "/run/balena.sock"
CANARY = f"canary {SOCKET}"


def run(*arguments: str, program: list[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*program, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def auditctl(*arguments: str) -> None:
    subprocess.run(["auditctl", *arguments], check=True, capture_output=True, timeout=10)


def doctor(tmp_path: Path) -> tuple[dict[str, Any], int]:
    """The findings by name, and the exit code."""
    result = run("doctor", "--json", "--state", str(tmp_path), "--runtime-dir", str(tmp_path))
    assert not result.stderr, result.stderr
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(finding.keys() == {"name", "state", "message", "todo"} for finding in findings)
    assert (result.returncode == 1) is any(finding["state"] == "fail" for finding in findings)
    return {finding["name"]: finding for finding in findings}, result.returncode


@pytest.fixture
def listener(audit: None) -> Iterator[socket.socket]:
    """Something that listens where a runtime would; nothing on this host speaks balenaEngine's API otherwise."""
    if Path(SOCKET).exists():
        pytest.skip(f"{SOCKET} is in use")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(SOCKET)
        listening.listen(100)
        yield listening
    Path(SOCKET).unlink(missing_ok=True)
    auditctl("-D")
    auditctl("-e", "0")


def connected(listening: socket.socket) -> bool:
    """Whether somebody has connected."""
    listening.setblocking(False)
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_neither_watch_nor_rules(listener: socket.socket, tmp_path: Path) -> None:
    """The sensor that a watch would take sees the canary on trial: this kernel has one of its rungs."""
    before = programs_in_kernel()
    found, _ = doctor(tmp_path)
    assert found["sensor"]["message"].startswith("a watch takes ebpf (")
    assert found[CANARY]["state"] == "warn" and "not watched" in found[CANARY]["message"]
    assert found[CANARY]["message"].endswith("on trial sees it")
    until(lambda: programs_in_kernel() <= before, "its programs are gone")
    assert found[f"socket {SOCKET}"]["state"] == "warn"
    assert found["kernel audit"]["state"] == "ok" and "switched off; ebpf" in found["kernel audit"]["message"]
    assert found["watch"]["state"] == "warn"
    assert connected(listener), "the canary is a real connect"


@pytest.mark.parametrize("key", [b"netconn", b"sockwarden"])
def test_the_canary_is_seen(key: bytes, listener: socket.socket, tmp_path: Path) -> None:
    auditctl("-e", "1")
    with Control() as control:
        control.add(rules_for(SOCKET, key=key)[0])
    found, _ = doctor(tmp_path)
    assert found[CANARY]["state"] == "ok" and f"key {key.decode()};" in found[CANARY]["message"]
    assert found[f"socket {SOCKET}"]["state"] == "ok"


def test_a_rule_for_every_connect_counts(listener: socket.socket, tmp_path: Path) -> None:
    auditctl("-e", "1")
    auditctl("-a", "always,exit", "-F", "arch=b64", "-S", "connect", "-k", "netconn")
    found, _ = doctor(tmp_path)
    assert found[CANARY]["state"] == "ok"
    assert "netconn" in found[CANARY]["message"] and "no harm" in found["rules of others"]["message"]


def test_a_rule_of_which_no_record_comes_is_red(listener: socket.socket, tmp_path: Path) -> None:
    with Control() as control:
        control.add(rules_for(SOCKET, key=b"netconn")[0])
    found, code = doctor(tmp_path)
    assert (found[CANARY]["state"], code) == ("fail", 1)


def test_permanent_rules_that_are_gone_are_red(listener: socket.socket, tmp_path: Path) -> None:
    file = rules_file.FILES["auditd"]
    if not file.parent.is_dir() or file.exists():
        pytest.skip(f"{file.parent} is not there, or is in use")
    auditctl("-e", "1")
    try:
        assert run("setup", "audit", "apply", "--for", "auditd").returncode == 0
        found, _ = doctor(tmp_path)
        assert (found[CANARY]["state"], found["permanent rules"]["state"]) == ("ok", "ok")
        auditctl("-D")
        found, code = doctor(tmp_path)
        assert (found[CANARY]["state"], found["permanent rules"]["state"], code) == ("fail", "fail", 1)
    finally:
        file.unlink(missing_ok=True)


def test_what_hides_accesses_is_red(listener: socket.socket, tmp_path: Path) -> None:
    auditctl("-a", "never,task")
    auditctl("-a", "always,exclude", "-F", "msgtype=SOCKADDR")
    result = run("doctor", "--json", "--state", str(tmp_path), "--runtime-dir", str(tmp_path))
    hidden = [line for line in map(json.loads, result.stdout.splitlines()) if line["name"] == "never rules"]
    assert len(hidden) == 2 and result.returncode == 1
    assert any("never,task" in finding["message"] for finding in hidden)
    assert any("SOCKADDR" in finding["message"] for finding in hidden)


def test_what_a_killed_watch_left_is_told(listener: socket.socket, tmp_path: Path) -> None:
    with Control() as control:
        control.add(rules_for(SOCKET)[0])
    found, _ = doctor(tmp_path)
    assert "left by a watch that was killed" in found["rules of the watch"]["message"]


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_running_watch_keeps_the_canary_without_an_alert(
    sensor: str, listener: socket.socket, tmp_path: Path
) -> None:
    arguments = ["watch", "--state", str(tmp_path), "--runtime-dir", str(tmp_path), "--output", "ndjson"]
    arguments += SENSORS[sensor]
    alerts = tmp_path / "alerts.ndjson"
    with (
        alerts.open("wb") as out,
        subprocess.Popen([*PROGRAM, *arguments], stdout=out, stderr=subprocess.PIPE, text=True) as watch,
    ):
        assert watch.stderr is not None
        try:
            assert any(line.startswith("watching") for line in watch.stderr), "the watch ended at its start"
            found, code = doctor(tmp_path)
            # Red beside the canary may be what this host is like; of the watch's own nothing may be.
            assert found[CANARY]["state"] == "ok", (found, code)
            assert f"kept by the watch ({sensor}" in found[CANARY]["message"]
            assert found["watch"]["message"].startswith(f"runs as pid {watch.pid} since ")
            assert f", on {sensor}" in found["watch"]["message"]
            assert found["sensor"]["message"].startswith(f"the watch runs on {sensor}")
            assert found[f"socket {SOCKET}"]["message"].endswith("; watched")
            assert {found[name]["state"] for name in ("kernel audit", "rules of the watch")} == {"ok"}
            assert connected(listener)
        finally:
            watch.terminate()
            watch.communicate(timeout=30)
    mine = [line for line in alerts.read_text().splitlines() if SOCKET in line and "doctor" in line]
    assert not mine
    assert not [name for name in ("canary", "sensor.json") if (tmp_path / name).exists()]


def test_a_user_is_told_what_root_is_for(require: Callable[..., str], tmp_path: Path) -> None:
    """Run as nobody, who may not read the program's files: it is imported before the privilege is dropped."""
    require("auditctl", root=True)
    program = (
        "import os, encodings.ascii\nfrom sockwarden.cli import main\nimport sockwarden.cli.doctor\n"
        "os.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\nmain.main()"
    )
    result = run("doctor", program=[sys.executable, "-c", program])
    assert result.returncode == 1 and not result.stderr
    assert "sudo sockwarden doctor" in result.stdout
    # The folder is root's alone, as a watch's runtime folder is: whether one runs is not to be guessed.
    (tmp_path / "run").mkdir(mode=0o700)
    result = run("doctor", "--runtime-dir", str(tmp_path / "run"), program=[sys.executable, "-c", program])
    assert "watch: whether one runs cannot be told without root" in result.stdout and not result.stderr
