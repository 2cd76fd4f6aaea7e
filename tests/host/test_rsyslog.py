"""A real rsyslogd reads what the syslog sink sends, and finds in it what was meant."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockwarden.alerts import Detector, build
from sockwarden.document import encode
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.syslog import Formatter
from sockwarden.sinks.syslog_carrier import SyslogCarrier, Transport

pytestmark = pytest.mark.host

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
template(name="parts" type="list" option.jsonf="on") {{
    property(outname="pri" name="pri" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="program" name="app-name" format="jsonf")
    property(outname="kind" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
}}
action(type="omfile" file="{folder}/out" template="parts" asyncWriting="off")
"""
TITLES = ("plain", 'quote " bracket ] backslash \\ end', "two\nlines \x1b[31m", "über € 漢字", "x" * 3000)


@pytest.fixture
def rsyslog(require: Callable[..., str], tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of a running rsyslogd, for datagrams and streams, and the file with what it read as lines of JSON."""
    program = require("rsyslogd")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "rsyslog.conf").write_text(CONFIGURATION.format(folder=tmp_path, port=port))
    command = [program, "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")]
    with (tmp_path / "err").open("w") as errors:
        process = subprocess.Popen(command, stderr=errors)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "err").read_text()
                time.sleep(0.05)
        yield port, tmp_path / "out"
    finally:
        process.terminate()
        process.wait(30)


def alert(number: int) -> dict[str, Any]:
    document = {
        "_id": str(number),
        "@timestamp": f"2026-11-22T10:00:0{number}.250Z",
        "event": {"kind": "event", "action": "connected-to"},
        "host": {"name": "web-1"},
        "process": {"pid": number, "name": TITLES[number], "title": TITLES[number]},
        "sockwarden": {"socket": {"canonical": TITLES[number][:100]}},
    }
    return build(document, Detector("r", 'A "rule"]', "high", 73, "1", [], {}), view=None)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("form", ["text", "ndjson"])
def test_it_reads_what_was_meant(rsyslog: tuple[int, Path], transport: Transport, form: Any) -> None:
    port, out = rsyslog
    made = [alert(number) for number in range(len(TITLES))]
    carrier = SyslogCarrier("127.0.0.1", port, transport, Formatter(form=form, most_bytes=32_000).message)
    sent = [Entry(b"%d" % number, encode(one)) for number, one in enumerate(made)]
    assert carrier.send(sent).done == sent
    carrier.close()
    for _ in range(200):
        if out.exists() and out.read_bytes().count(b"\n") == len(made):
            break
        time.sleep(0.05)
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(found) == len(made)
    for number, (parts, one) in enumerate(zip(found, made, strict=True)):
        assert (parts["pri"], parts["host"], parts["program"], parts["kind"]) == ("83", "web-1", "sockwarden", "alert")
        assert parts["time"].startswith(f"2026-11-22T10:00:0{number}.25")
        data = parts["data"]
        assert data.startswith("[sockwarden@32473 uuid=") and data.endswith("]")
        assert r'rule="A \"rule\"\]"' in data
        if form == "ndjson":
            assert json.loads(parts["text"])["process"]["title"] == TITLES[number]
        else:
            reason = one["kibana"]["alert"]["reason"].replace("\n", "\\x0a").replace("\x1b", "\\x1b")
            assert parts["text"].lstrip("\ufeff") == reason
