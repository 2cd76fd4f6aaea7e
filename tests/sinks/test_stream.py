"""Lines of JSON on standard output, whatever that is and whoever reads it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sockwarden.sinks import TerminalGoneError
from sockwarden.sinks.stream import StreamSink

Make = Callable[..., dict[str, Any]]


def test_into_a_regular_file_it_appends_to_what_is_there(tmp_path: Path, alert: Make) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b'"begun"\n')
        sink = StreamSink("ndjson", file)
        sink.add([alert(1), alert(1, rule="Another")])
        sink.close()
    first, *alerts = map(json.loads, (tmp_path / "out").read_text().splitlines())
    assert first == "begun"
    assert [one["kibana"]["alert"]["rule"]["name"] for one in alerts] == ["A Rule", "Another"]


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_does_not_read_does_not_hold_the_run(alert: Make, kind: str) -> None:
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        ours, theirs = socket.socketpair()
        reading, writing = theirs.detach(), ours.detach()
    with os.fdopen(writing, "wb") as file, os.fdopen(reading, "rb") as reader:
        sink = StreamSink("ndjson", file)
        pid = 0
        while not sink.lost:
            pid += 1
            sink.add([alert(pid, title="x" * 1000)])
            assert pid < 100_000
        assert os.get_blocking(writing), "others that share the open file would be surprised"
        os.set_blocking(reading, False)
        data = b""
        while not sink._outlet.idle:
            data += reader.read() or b""
            sink.tick(time.monotonic())
        sink.close()
        file.close()
        data += reader.read() or b""
    pids = [json.loads(line)["process"]["pid"] for line in data.splitlines()]
    assert pids == list(range(1, pid)), "whole lines, in their order"
    assert sink.lost == 1
    assert sink.notes() == ["alerts not shown, since nobody read for a while: 1"]


def test_a_reader_that_ended(alert: Make) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        sink = StreamSink("ndjson", file)
        os.close(reading)
        with pytest.raises(TerminalGoneError):
            sink.add([alert(1)])
        sink.close()
