"""sd_notify, received on a real datagram socket."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from sockwarden.pipeline.notify import Notifier


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_what_the_service_manager_gets(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@sockwarden-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1) if kind == "abstract" else name)
        manager.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"})
        notifier.ready("3 sockets\nREADY=0")
        assert manager.recv(4096) == b"READY=1\nSTATUS=3 sockets READY=0"
        before = time.monotonic_ns() // 1000
        notifier.reloading()
        found = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.recv(4096))
        assert found and before <= int(found[1]) <= time.monotonic_ns() // 1000
        notifier.status("fine")
        assert manager.recv(4096) == b"STATUS=fine"
        assert notifier.watchdog == 10
        for now in (100.0, 101.0, 109.0, 110.0, 111.0):
            notifier.alive(now)
        notifier.stopping()
        assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
        notifier.close()


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/no/such/socket"}],
)
def test_nobody_listens(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready("x")
    notifier.alive(1.0)
    notifier.stopping()
    notifier.close()
    notifier.status("after the end")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({"WATCHDOG_USEC": "\N{SUPERSCRIPT TWO}"}, None),
        ({}, None),
    ],
)
def test_watchdog(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog == seconds
