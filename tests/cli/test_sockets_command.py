"""`sockwarden sockets` as people run it. Where it needs a socket to be there, a real one is bound where one may be."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

PROGRAM = [sys.executable, "-c", "from sockwarden.cli.sockets import sockets; sockets()"]


def run(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False, user=user
    )


@pytest.fixture
def shim() -> Iterator[str]:
    """The abstract name of a shim of an old containerd: any user may bind such a name."""
    name = f"/containerd-shim/{uuid4()}\x1b[31m"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"\0{name}")
        one.listen()
        yield f"@{name}"


def test_table(shim: str) -> None:
    result = run()
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    assert shim.replace("\x1b", "\\x1b") in result.stdout
    assert f"{Path(sys.executable).resolve().name} {os.getpid()}" in result.stdout


def test_json(shim: str) -> None:
    rows = [json.loads(line) for line in run("--json").stdout.splitlines()]
    (row,) = [row for row in rows if row["address"] == shim]
    assert (row["runtime"], row["kind"], row["found_by"], row["listening"]) == (
        "containerd",
        "abstract",
        "catalogue",
        True,
    )
    assert [listener["pid"] for listener in row["listeners"]] == [os.getpid()]
    assert "exposure" not in row


def test_exposure(shim: str) -> None:
    result = run("--exposure")
    assert "every process of its network namespace may connect" in result.stdout
    rows = [json.loads(line) for line in run("--exposure", "--json").stdout.splitlines()]
    (row,) = [row for row in rows if row["address"] == shim]
    assert row["exposure"]["everyone"] is True
