"""The real journald, on a /run of its own, takes what the sink sends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

JOURNALD = Path("/lib/systemd/systemd-journald")
# Audit= without a value leaves the kernel's audit as it is.
CONFIGURATION = "[Journal]\nStorage=volatile\nAudit=\nReadKMsg=no\nForwardToSyslog=no\n"
PLACE = """
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log && mount --bind "$1" /etc/systemd/journald.conf
shift
exec "$@"
"""
PROGRAM = """
import os, socket, subprocess, sys
from sockwarden.sinks.journald import JournaldSink

manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("/run/notify")
manager.settimeout(30)
journald = subprocess.Popen([sys.argv[1]], env={**os.environ, "NOTIFY_SOCKET": "/run/notify"})
try:
    while b"READY=1" not in manager.recv(4096):
        pass
    sink = JournaldSink()
    for title in ("short", "two\\nlines", "x" * 1_000_000):
        signal = {"uuid": "aa11", "severity": "high", "risk_score": 73, "reason": title, "rule": {"name": "A Rule"}}
        sink.add([{"process": {"pid": 7, "title": title}, "kibana": {"alert": signal}}])
    assert sink.lost == 0, sink.notes()
    subprocess.run(["journalctl", "--sync"], check=True, timeout=30)
    # --all: the document is longer than what journalctl prints otherwise.
    subprocess.run(["journalctl", "--all", "-o", "json", "SOCKWARDEN_SEVERITY=high"], check=True, timeout=30)
finally:
    journald.terminate()
    journald.wait(30)
"""


def test_entries_are_in_the_journal(require: Callable[..., str], tmp_path: Path) -> None:
    require("unshare", root=True)
    require("journalctl")
    if not JOURNALD.exists():
        require("systemd-journald")
    (tmp_path / "journald.conf").write_text(CONFIGURATION)
    program = (sys.executable, "-c", PROGRAM, str(JOURNALD))
    result = subprocess.run(
        ["unshare", "-m", "sh", "-ec", PLACE, "sh", str(tmp_path / "journald.conf"), *program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["MESSAGE"] for entry in entries] == ["short", "two\nlines", "x" * 1_000_000]
    for entry in entries:
        assert entry["PRIORITY"] == "3"
        assert entry["SYSLOG_IDENTIFIER"] == "sockwarden"
        assert entry["SOCKWARDEN_RULE"] == "A Rule"
        assert json.loads(entry["SOCKWARDEN_DOCUMENT"])["process"]["title"] == entry["MESSAGE"]
