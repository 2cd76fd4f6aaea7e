"""The journal's native protocol, read by a receiver that follows systemd's description of it."""

from __future__ import annotations

import array
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.sinks.journald import JournaldSink
from sockwarden.sinks.lines import whole
from sockwarden.sinks.sink import RETRY_SECONDS

Make = Callable[..., dict[str, Any]]


class Journal:
    """A receiver of entries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def entry(self) -> dict[str, str]:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, _, rights in ancillary:
            (file,) = array.array("i", rights)
            with os.fdopen(file, "rb") as stream:
                assert not data
                stream.seek(0)
                data = stream.read()
        fields: dict[str, str] = {}
        at = 0
        while at < len(data):
            end = data.index(b"\n", at)
            name, equals, value = data[at:end].partition(b"=")
            at = end + 1
            if not equals:
                (length,) = struct.unpack_from("<Q", data, at)
                value = data[at + 8 : at + 8 + length]
                assert data[at + 8 + length : at + 9 + length] == b"\n"
                at += 9 + length
            fields[name.decode()] = value.decode()
        return fields

    def close(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.close()


@pytest.mark.parametrize(("severity", "priority"), [("critical", "2"), ("high", "3"), ("medium", "4"), ("low", "5")])
def test_an_entry(journal: Journal, alert: Make, severity: str, priority: str) -> None:
    one = alert(7, severity=severity)
    sink = JournaldSink(journal.path)
    sink.add([one])
    entry = journal.entry()
    assert msgspec.json.decode(entry.pop("SOCKWARDEN_DOCUMENT")) == whole(one)
    assert entry == {
        "MESSAGE": one["kibana"]["alert"]["reason"],
        "PRIORITY": priority,
        "SYSLOG_IDENTIFIER": "sockwarden",
        "SOCKWARDEN_ALERT": one["kibana"]["alert"]["uuid"],
        "SOCKWARDEN_RULE_ID": "A Rule",
        "SOCKWARDEN_RULE": "A Rule",
        "SOCKWARDEN_SEVERITY": severity,
        "SOCKWARDEN_RISK_SCORE": "73",
        "SOCKWARDEN_SOCKET": "/run/docker.sock",
        "SOCKWARDEN_RUNTIME": "docker",
        "SOCKWARDEN_PID": "7",
        "SOCKWARDEN_EXECUTABLE": "/usr/bin/curl",
    }
    sink.close()


def test_a_value_cannot_add_a_field(journal: Journal, alert: Make) -> None:
    hostile = alert(7)
    hostile["process"]["executable"] = "/srv/x\nPRIORITY=7\nMESSAGE=nothing to see\udcff"
    sink = JournaldSink(journal.path)
    sink.add([hostile])
    entry = journal.entry()
    assert entry["PRIORITY"] == "3"
    assert entry["SOCKWARDEN_EXECUTABLE"] == "/srv/x\nPRIORITY=7\nMESSAGE=nothing to see\\udcff"
    sink.close()


def test_a_large_entry_comes_as_a_file(journal: Journal, alert: Make) -> None:
    one = alert(7, title="x" * 2_000_000)
    sink = JournaldSink(journal.path)
    sink.add([one])
    assert msgspec.json.decode(journal.entry()["SOCKWARDEN_DOCUMENT"]) == whole(one)
    assert sink.lost == 0
    sink.close()


def test_a_journal_that_does_not_read_does_not_hold_the_run(journal: Journal, alert: Make) -> None:
    sink = JournaldSink(journal.path)
    sent = 0
    while not sink.lost:
        sent += 1
        sink.add([alert(sent)])
        assert sent < 100_000
    assert len(sink.notes()) == 1
    sink.close()


def test_gone_and_back(tmp_path: Path, alert: Make) -> None:
    path = tmp_path / "socket"
    sink = JournaldSink(path)
    now = time.monotonic()
    for pid in range(3):
        sink.tick(now + pid)
        sink.add([alert(pid)])
    assert sink.lost == 3
    (note,) = sink.notes()
    assert "No such file" in note and "systemd-journald" in note
    journal = Journal(path)
    sink.tick(now + RETRY_SECONDS + 3)
    sink.add([alert(9)])
    assert journal.entry()["SOCKWARDEN_PID"] == "9"
    (note,) = sink.notes()
    assert "delivered again; not delivered meanwhile: 3" in note
    sink.close()
    journal.close()
