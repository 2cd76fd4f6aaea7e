"""`sockwarden run`, `rules runs` and `rules preview` as people start them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sockwarden.document import get
from sockwarden.store import Store

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]
PUBLISHED = "unusual-process-connection-runtime-socket"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **variables}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def access(number: int, ago: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time.time() - ago, UTC)
    return {
        "_index": "sockwarden",
        "_id": hashlib.sha256(b"%d" % number).hexdigest(),
        "_version": 1,
        "@timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "event": {"kind": "event", "category": ["network"], "type": ["start"], "action": "connected-to"},
        "host": {"os": {"type": "linux"}},
        "network": {"direction": "egress"},
        "destination": {"address": "/run/docker.sock"},
        "process": {"executable": "/usr/bin/curl", "pid": number},
        "sockwarden": {"socket": {"runtime": "docker", "canonical": "/run/docker.sock"}},
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Store(tmp_path / "state", create=True) as store:
        store.add_accesses(access(number, 120 - number / 10) for number in range(130))
    return tmp_path / "state"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(f'[sinks]\nterminal.enabled = false\nfile.path = "{tmp_path}/alerts.ndjson"\n')
    return file


def test_once(state: Path, config: Path, tmp_path: Path) -> None:
    arguments = ("run", "--from", "store", "--once", "--state", str(state), "--config", str(config))
    result = run(*arguments, "--rule", PUBLISHED)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    alerts = [json.loads(line) for line in (tmp_path / "alerts.ndjson").read_bytes().splitlines()]
    assert len(alerts) == 101
    assert "30 matches beyond max_signals (100)" in result.stderr
    again = run(*arguments, "--rule", PUBLISHED, "--output", "ndjson")
    assert len(again.stdout.splitlines()) == 30, "the overflow, in a new run with a new allowance"
    assert len((tmp_path / "alerts.ndjson").read_bytes().splitlines()) == 131

    shown = run("rules", "runs", PUBLISHED, "--state", str(state))
    assert shown.returncode == 0
    assert "partial" in shown.stdout and "succeeded" in shown.stdout
    found = [json.loads(line) for line in run("rules", "runs", "--json", "--state", str(state)).stdout.splitlines()]
    assert [(one["kind"], one["alerts"], one["overflow"]) for one in found] == [("run", 30, 0), ("run", 100, 30)]


def test_tables_fit_a_narrow_terminal(state: Path, config: Path) -> None:
    where = ("--from", "store", "--state", str(state))
    run("run", *where, "--once", "--config", str(config), "--rule", PUBLISHED)
    narrow = {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}
    for arguments, columns in (
        (("rules", "runs", "--state", str(state)), ["started (UTC)", "rule", "status", "alerts", "overflow"]),
        (("rules", "preview", PUBLISHED, *where), ["window (UTC)", "candidates", "known", "alerts"]),
    ):
        shown = re.sub(r"\x1b\[[0-9;]*m", "", run(*arguments, **narrow).stdout).splitlines()
        assert re.split(r"  +", shown[0].strip()) == columns
        assert "…" not in "".join(shown), "nothing is cut off"
        assert all(len(line) <= 80 for line in shown)
        assert arguments[1] == "preview" or "Unusual" in shown[1]


def test_every_rule_that_runs_at_intervals(state: Path, config: Path) -> None:
    result = run("run", "--from", "store", "--once", "--state", str(state), "--config", str(config))
    assert result.returncode == 0, result.stderr
    shown = run("rules", "runs", "--json", "--state", str(state)).stdout
    ids = {json.loads(line)["rule_id"] for line in shown.splitlines()}
    assert len(ids) >= 2
    assert "5c1e6d3f-9b07-4a52-8f4e-d20c7b9135a8" not in ids, "health is judged when it is told"


def test_preview_and_fill(state: Path) -> None:
    options = ("--from", "store", "--state", str(state))
    result = run("rules", "preview", PUBLISHED, *options, "--since", "now-4m", "--json")
    assert result.returncode == 0, result.stderr
    (only,) = map(json.loads, result.stdout.splitlines())
    assert (only["candidates"], only["alerts"], only["overflow"]) == (130, 100, 30)
    assert "no gaps" in run("rules", "preview", PUBLISHED, *options, "--fill").stderr
    with Store(state, create=False) as store:
        assert (store.count(), store.runs.count()) == (0, 0)
    filled = run("rules", "preview", PUBLISHED, *options, "--fill", "--since", "now-3m")
    assert filled.returncode == 0, filled.stderr
    assert "100 alerts kept" in filled.stderr
    with Store(state, create=False) as store:
        assert store.count() == 101
        (record,) = store.runs.newest(9)
        assert (record.type, record.overflow) == ("manual", 30)
    assert "by hand" in run("rules", "runs", "--state", str(state)).stdout


def test_a_gap_is_shown_and_filled(state: Path, config: Path) -> None:
    options = ("--from", "store", "--state", str(state))
    run("run", *options, "--once", "--config", str(config), "--rule", PUBLISHED)
    with Store(state, create=False) as store:
        (last,) = store.runs.newest(1)
        store.runs.commit(last, gaps=[(last.started - 3_600_000, last.started - 3_000_000)])
    shown = run("rules", "runs", "--state", str(state)).stdout
    assert "nobody looked at" in shown
    assert f"sockwarden rules preview {last.rule_id} --from PLACE --fill" in shown
    assert "2 windows looked at" in run("rules", "preview", last.rule_id, *options, "--fill").stderr
    with Store(state, create=False) as store:
        assert store.runs.gaps() == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, ["Missing option", "--from"]),
        (["run", "--from", "nowhere"], 2, ["neither", "nowhere"]),
        (["run", "--from", "store", "--map", "a=b"], 2, ["--map"]),
        (["run", "--from", "store", "--map", "ab"], 2, ["no pair of fields"]),
        (["run", "--from", "store", "--rule", "TRC-1019"], 2, ["does not run at intervals"]),
        (["run", "--from", "store", "--rule", "audit-records-lost"], 2, ["does not run at intervals"]),
        (["rules", "runs", "TRC-1019"], 2, ["is a signature"]),
        (["rules", "runs", "nope"], 2, ["no rule has"]),
        (["rules", "preview", PUBLISHED, "--from", "store", "--since", "x"], 2, ["--since x is no time"]),
        (["rules", "preview", PUBLISHED, "--from", "store", "--since", "now", "--until", "now-1h"], 2, ["not before"]),
        (["rules", "preview", PUBLISHED, "--from", "store", "--since", "2020-01-01"], 2, ["10,000 are done at most"]),
    ],
)
def test_wrong_usage(state: Path, arguments: list[str], code: int, says: list[str]) -> None:
    result = run(*arguments, *(["--state", str(state)] if len(arguments) > 1 else []))
    assert result.returncode == code
    assert all(text in result.stderr for text in says), result.stderr
    assert "Traceback" not in result.stderr


def test_no_store_yet(tmp_path: Path) -> None:
    for arguments in (["runs"], ["preview", PUBLISHED, "--from", "store"]):
        result = run("rules", *arguments, "--state", str(tmp_path / "none"))
        assert result.returncode == 3
        assert "there is no store yet" in result.stderr
    assert not (tmp_path / "none").exists()


@pytest.fixture
def service(state: Path, config: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started = []

    def start() -> subprocess.Popen[str]:
        arguments = ["run", "--from", "store", "--state", str(state), "--config", str(config), "--output", "ndjson"]
        process = subprocess.Popen(
            [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_service_ends_when_it_is_told(
    service: Callable[[], subprocess.Popen[str]], state: Path, config: Path
) -> None:
    process = service()
    assert process.stdout and process.stderr
    uuids = {get(json.loads(process.stdout.readline()), "kibana.alert.uuid") for _ in range(202)}
    assert len(uuids) == 202
    second = run("run", "--from", "store", "--state", str(state), "--config", str(config), "--once")
    assert second.returncode == 3
    assert "another `sockwarden run`" in second.stderr
    config.write_text("[sinks]\nnonsense = 1\n")
    process.send_signal(signal.SIGHUP)
    while "not taken over" not in (line := process.stderr.readline()):
        assert line
    config.write_text('[rules]\ndisable = ["detection-rule-did-not-run"]\n')
    process.send_signal(signal.SIGHUP)
    while "settings read again" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_restarted_it_keeps_its_phase(service: Callable[[], subprocess.Popen[str]], state: Path) -> None:
    process = service()
    assert process.stdout
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    with Store(state, create=False) as store:
        count = store.runs.count()
    process = service()
    assert process.stdout
    process.stdout.readline()  # it has begun, however busy the machine is
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    with Store(state, create=False) as store:
        assert store.runs.count() == count


def test_the_lock_is_no_link_of_others(state: Path, config: Path, tmp_path: Path) -> None:
    (state / "run.lock").symlink_to(tmp_path / "elsewhere")
    ended = run("run", "--from", "store", "--once", "--state", str(state), "--config", str(config))
    assert ended.returncode == 3 and not (tmp_path / "elsewhere").exists()
