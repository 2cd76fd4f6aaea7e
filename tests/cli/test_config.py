"""`sockwarden config` and `sockwarden accesses`, as people start them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sockwarden.content import packaged
from sockwarden.store import Store

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.main import main; main()"]


def run(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": str(columns)}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


def test_check_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[rules]\ndisable = ["TRC-1019"]\n')
    result = run("config", "check", str(path))
    assert (result.returncode, result.stdout.strip().replace("\n", "")) == (0, f"{path}: fine")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("[retention]\ndays = 0\nsiez = 3\n", 3, ["2 errors", "line 2", "line 3", "did you mean `size`?"]),
        ('[rules]\ndisable = ["TRC-1091"]\n', 3, ["config.toml", "TRC-1091", "rules list"]),
        ('[rules]\nfiles = ["/no/such/rule.toml"]\n', 3, ["/no/such/rule.toml", "No such file"]),
    ],
)
def test_check_tells_what_is_wrong(tmp_path: Path, text: str, code: int, says: list[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    result = run("config", "check", str(path))
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.count("error:") == 1 and "Traceback" not in result.stderr
    for part in says:
        assert part in result.stderr


def test_show_says_where_each_value_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[retention]\nsize = "2 GiB"\n')
    result = run("config", "show", "--config", str(path))
    assert result.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["retention.size"] == ['"2', 'GiB"', "line", "2"]
    assert rows["retention.days"] == ["30", "default"]


def test_the_defaults_are_a_file_to_start_from(tmp_path: Path) -> None:
    result = run("config", "show", "--defaults")
    assert result.stdout == packaged("config.toml").read_text("utf-8")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    documents = [
        {
            "_id": hashlib.sha256(b"%d" % number).hexdigest(),
            "@timestamp": f"2026-11-22T10:00:0{number}.000Z",
            "event": {"outcome": "success"},
            "process": {"executable": "/usr/bin/cu\x1b[31mrl", "pid": number},
            "sockwarden": {"socket": {"canonical": "/run/docker.sock", "runtime": "docker"}},
        }
        for number in range(3)
    ]
    with Store(tmp_path / "state", create=True) as store:
        store.add_accesses(documents)
    return tmp_path / "state"


def test_accesses_list(state: Path) -> None:
    result = run("accesses", "list", "--state", str(state), "--limit", "2")
    assert result.returncode == 0
    assert [line.split()[2] for line in result.stdout.splitlines()[1:]] == ["10:00:02", "10:00:01"]
    assert "cu\\x1b[31mrl 2 (unknown) → /run/docker.sock" in result.stdout
    assert "1 more" in result.stderr


def test_accesses_as_json_and_one(state: Path) -> None:
    result = run("accesses", "list", "--json", "--state", str(state))
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["process"]["pid"] for document in documents] == [2, 1, 0]
    one = run("accesses", "show", documents[1]["_id"][:9], "--state", str(state))
    assert json.loads(one.stdout) == documents[1]
    none = run("accesses", "list", "--runtime", "crio", "--state", str(state))
    assert none.stdout.strip() == "no accesses"


def test_accesses_without_a_store(tmp_path: Path) -> None:
    result = run("accesses", "list", "--state", str(tmp_path))
    assert result.returncode == 3
    assert "no store yet" in result.stderr and "sockwarden watch" in result.stderr
