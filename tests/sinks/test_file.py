"""Alerts into a file that others rotate, fill up or take away."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.sink import RETRY_SECONDS

Make = Callable[..., dict[str, Any]]


def pids(path: Path) -> list[int]:
    return [json.loads(line)["process"]["pid"] for line in path.read_text().splitlines()]


def test_appended_and_private(tmp_path: Path, alert: Make) -> None:
    path = tmp_path / "alerts.ndjson"
    for pid in (1, 2):
        sink = NdjsonFileSink(path)
        sink.add([alert(pid), alert(pid, rule="Another")])
        assert pids(path)[-2:] == [pid, pid], "not at once"
        sink.close()
    assert pids(path) == [1, 1, 2, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_forms(tmp_path: Path, alert: Make) -> None:
    path = tmp_path / "alerts.ndjson"
    sink = NdjsonFileSink(path, "ecs")
    sink.add([alert(1)])
    assert "kibana" not in json.loads(path.read_text())
    NdjsonFileSink(tmp_path / "findings", "tracee").add([alert(1)])
    assert (tmp_path / "findings").read_text() == ""
    sink.close()


@pytest.mark.parametrize("by", ["signal", "notice"])
def test_rotated(tmp_path: Path, alert: Make, by: str) -> None:
    path = tmp_path / "alerts.ndjson"
    sink = NdjsonFileSink(path)
    sink.add([alert(1)])
    path.rename(tmp_path / "alerts.ndjson.1")
    if by == "signal":
        sink.reopen()
    else:
        sink.tick(time.monotonic())
    sink.add([alert(2)])
    sink.close()
    assert (pids(tmp_path / "alerts.ndjson.1"), pids(path)) == ([1], [2])
    assert sink.notes() == [] and sink.lost == 0


def test_folder_gone_and_back(tmp_path: Path, alert: Make) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    sink = NdjsonFileSink(folder / "a")
    (folder / "a").unlink()
    folder.rmdir()
    now = time.monotonic()
    for seconds in range(5):
        sink.tick(now + seconds)
        sink.add([alert(seconds), alert(seconds, rule="Another")])
    assert sink.lost == 10
    (note,) = sink.notes()
    assert "No such file" in note and str(folder) in note and "every 10 s" in note
    folder.mkdir()
    sink.tick(now + RETRY_SECONDS + 1)
    sink.add([alert(9)])
    assert pids(folder / "a") == [9]
    (note,) = sink.notes()
    assert "delivered again; not delivered meanwhile: 10" in note
    sink.close()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, alert: Make, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    sink = NdjsonFileSink(path)
    sink.add([alert(1)])
    assert sink.lost == 1
    assert len(sink.notes()) == 1
    assert not (tmp_path / "elsewhere").exists()
    sink.close()


def test_what_json_cannot_hold_is_written_all_the_same(tmp_path: Path, alert: Make) -> None:
    sink = NdjsonFileSink(tmp_path / "a")
    sink.add([{**alert(1), "message": "a\udcffb", "large": 1 << 70}])
    assert json.loads((tmp_path / "a").read_text())["message"] == "a?b"
    sink.close()
