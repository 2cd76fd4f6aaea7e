"""`sockwarden alerts except` as people start it: what it makes holds back its like and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sockwarden.document import get
from sockwarden.rules.exceptions.item import item_of
from sockwarden.rules.exceptions.suggestion import FIELDS, suggest

LOG = str(Path(__file__).parents[1] / "data" / "captures" / "inode-rules.audit.log")
PUBLISHED = "unusual-process-connection-runtime-socket"
PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def run(arguments: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, *arguments], input=stdin, capture_output=True, env=environment, timeout=60, check=False, text=True
    )


def hunt(*more: str) -> tuple[list[dict[str, Any]], str]:
    result = run(["hunt", LOG, "--rule", PUBLISHED, "--output", "ndjson", *more])
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def like(alert: dict[str, Any]) -> list[Any]:
    return [get(alert, field) for field in FIELDS]


def uuid_of(alert: dict[str, Any]) -> str:
    return str(get(alert, "kibana.alert.uuid"))


def test_its_like_is_not_told_again(tmp_path: Path) -> None:
    state, folder = str(tmp_path / "state"), tmp_path / "rules"
    before, _ = hunt("--store", "--state", state, "--rules", str(folder))
    one = before[0]
    alike = [alert for alert in before if like(alert) == like(one)]
    assert 1 < len(alike) < len(before)
    asked = ["alerts", "except", one["kibana"]["alert"]["uuid"][:12], "--state", state, "--folder", str(folder)]
    refused = run(asked, "n\n")
    assert refused.returncode == 130
    assert not folder.exists()
    made = run([*asked, "--yes", "--expire", "30d"])
    assert made.returncode == 0, made.stderr
    assert f"it would have held back {len(alike) - 1} further alert" in made.stdout
    assert "it applies to 0 further accesses" in made.stdout
    assert f"1 program: {one['process']['executable']} ({len(alike) - 1})" in made.stdout
    assert "1 socket: " in made.stdout and "1 user: " in made.stdout
    (file,) = folder.rglob("*.toml")
    table = tomllib.loads(file.read_text("utf-8"))
    assert table["applies_to"] == [one["kibana"]["alert"]["rule"]["rule_id"]]
    assert [entry["field"] for entry in table["item"][0]["entries"] if entry["type"] != "match"] == ["container.id"]
    after, notes = hunt("--rules", str(folder))
    expected = [alert for alert in before if like(alert) != like(one)]
    assert [get(alert, "kibana.alert.uuid") for alert in after] == [
        get(alert, "kibana.alert.uuid") for alert in expected
    ]
    assert f"Excepted: {len(alike)} matches. " in notes
    again = run([*asked, "--yes"])
    assert again.returncode == 2
    assert "this exception is there already" in again.stderr
    other = next(alert for alert in expected)["kibana"]["alert"]["uuid"][:12]
    file.write_text("# A note of mine.\n" + file.read_text("utf-8"), "utf-8")
    second = run(["alerts", "except", other, "--state", state, "--folder", str(folder), "--yes"])
    assert second.returncode == 0, second.stderr
    assert file.read_text("utf-8").startswith("# A note of mine.")
    assert len(tomllib.loads(file.read_text("utf-8"))["item"]) == 2


@pytest.mark.parametrize("span", ["soon", "0d", "99999w", "30"])
def test_a_span_that_is_none(span: str, tmp_path: Path) -> None:
    result = run(["alerts", "except", "00", "--expire", span, "--state", str(tmp_path)])
    assert result.returncode == 2
    assert "is no time span" in result.stderr


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    state, folder = str(tmp_path / "state"), tmp_path / "rules"
    (one, *_), _ = hunt("--store", "--state", state)
    (tmp_path / "elsewhere").mkdir()
    folder.mkdir()
    (folder / "exceptions").symlink_to(tmp_path / "elsewhere")
    uuid = one["kibana"]["alert"]["uuid"]
    result = run(["alerts", "except", uuid, "--state", state, "--folder", str(folder), "--yes"])
    assert result.returncode == 3
    assert "cannot write into the rules folder" in result.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_every_value_counts_and_a_container_is_another() -> None:
    alert = {
        "process": {"executable": "/usr/bin/docker"},
        "user": {"id": "0"},
        "destination": {"address": ["/run/docker.sock", "docker.sock"]},
        "sockwarden": {"actor": {"origin": "host"}},
        "kibana": {"alert": {"uuid": "ab"}},
    }
    item = item_of(suggest(alert), "l", {})
    assert item.matches(alert)
    assert not item.matches(alert | {"destination": {"address": "/run/containerd/containerd.sock"}})
    assert not item.matches(alert | {"destination": {"address": "/run/docker.sock"}})
    assert not item.matches(alert | {"container": {"id": "c"}})
    assert not item.matches(alert | {"sockwarden": {"actor": {"origin": "container"}}})
