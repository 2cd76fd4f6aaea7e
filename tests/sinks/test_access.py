"""What a person reads of accesses to which nobody gave an address, of failures, and of floods that were counted only.

The documents are as a watch by eBPF and its sweep make them.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sockwarden.alerts import Detector, build
from sockwarden.cli.accesses import _cells
from sockwarden.sinks.terminal import TerminalSink, one_line
from sockwarden.sinks.told import of_alert

RULE = Detector("r", "A Rule", "medium", 47, "1", [], {})
OTHER = {"pid": 7059, "executable": "/usr/bin/docker", "name": "docker"}
ITSELF = {"pid": 7060, "name": "receiver"}
TIMES = "\N{MULTIPLICATION SIGN}"


def told(action: str, *, serial: int = 1, **ours: Any) -> dict[str, Any]:
    """An access of receiver 7060, with `ours` below `sockwarden`."""
    return {
        "_id": str(serial),
        "_index": "sockwarden",
        "@timestamp": "2026-11-26T00:43:37.602Z",
        "event": {"action": action, "outcome": "success"},
        "process": {"pid": 7060, "executable": "/srv/receiver", "name": "receiver", "command_line": "./receiver 3"},
        "user": {"id": "0", "name": "root"},
        "sockwarden": {
            "actor": {"origin": "host"},
            "socket": {"runtime": "docker", "canonical": "/run/docker.sock", "bound": "/run/docker.sock"},
            **ours,
        },
    }


def lines(*documents: dict[str, Any]) -> list[str]:
    """The blocks, without date and headline, up to the command line."""
    file = io.StringIO()
    sink = TerminalSink(Console(file=file, width=120, markup=False, highlight=False))
    for document in documents:
        sink.add(build(document, RULE, view=None))
    sink.close()
    return file.getvalue().splitlines()[2:]


MOVED = [
    ("received-descriptor", {"connector": OTHER}, "connection received", "/usr/bin/docker 7059"),
    ("duplicated-descriptor", {"connector": OTHER}, "connection duplicated", "/usr/bin/docker 7059"),
    ("inherited-descriptor", {"connector": OTHER}, "connection inherited", "/usr/bin/docker 7059"),
    ("inherited-descriptor", {"connector": ITSELF}, "connection kept over an exec", ""),
    (
        "inherited-descriptor",
        {"connector": ITSELF | {"executable": "/usr/bin/docker", "time": "2026-11-26T00:43:36.100Z"}},
        "connection kept over an exec",
        "the same process, as /usr/bin/docker at 2026-11-26 00:43:36",
    ),
    ("held-connection", {"connector": ITSELF, "accepted": True}, "connection held", "the same process"),
    ("held-connection", {"connector": OTHER, "moved": True}, "connection held", "/usr/bin/docker 7059"),
    ("held-connection", {"connector": {"pid": 7059}, "accepted": True}, "connection held", "process 7059"),
    ("held-connection", {"accepted": False}, "connection held, not accepted yet", "an unknown process"),
]


@pytest.mark.parametrize(("action", "connection", "came", "maker"), MOVED)
def test_a_connection_to_which_nobody_gave_an_address(
    action: str, connection: dict[str, Any], came: str, maker: str
) -> None:
    document = told(action, connection={"inode": 7, **connection})
    first, second, *_ = lines(document)
    assert first == f"  /srv/receiver 7060 → docker /run/docker.sock, {came}"
    assert second == (f"  connection made by {maker}" if maker else "  ./receiver 3")
    alert = build(document, RULE, view=None)
    assert dict(of_alert(alert).facts).get("Connection made by", "") == maker
    assert one_line(alert)[3] == f"/srv/receiver → /run/docker.sock, {came}"
    assert _cells(document)[3].plain == f"/srv/receiver 7060 (host) → /run/docker.sock, {came}"


def test_a_connection_that_nobody_holds() -> None:
    document = told("held-connection", connection={"inode": 7, "holder_unseen": True, "connector": OTHER})
    del document["process"], document["user"]
    first, second, *_ = lines(document)
    assert first == "  nobody to be found → docker /run/docker.sock, connection held"
    assert second == "  connection made by /usr/bin/docker 7059"


def test_a_maker_with_a_hostile_name() -> None:
    maker = {"pid": 7059, "executable": "/srv/\x1b[2J\n", "time": "\x1b[2J"}
    document = told("received-descriptor", connection={"connector": maker})
    assert lines(document)[1] == "  connection made by /srv/\\x1b[2J\\x0a 7059 at \\x1b[2J"


def test_the_reason_says_who_had_made_the_connection() -> None:
    document = told("received-descriptor", connection={"connector": OTHER})
    reason = of_alert(build(document, RULE, view=None)).text
    assert reason == (
        "receiver by user root was passed a connection to /run/docker.sock, made by docker 7059: medium alert A Rule"
    )


@pytest.mark.parametrize(
    ("action", "code", "line", "reason"),
    [
        ("connected-to", "EACCES", "docker /run/docker.sock  failed: Permission denied", "failed to connect to"),
        ("connected-to", "ECONNREFUSED", "docker /run/docker.sock  failed: Connection refused", "failed to connect to"),
        ("opened-file", "ENXIO", "open docker /run/docker.sock  failed: No such device or address", "failed to open"),
    ],
)
def test_a_failure_by_its_code(action: str, code: str, line: str, reason: str) -> None:
    document = told(action) | {"event": {"action": action, "outcome": "failure"}, "error": {"code": code}}
    assert lines(document)[0] == f"  /srv/receiver 7060 → {line}"
    message = of_alert(build(document, RULE, view=None))
    assert f" {reason} /run/docker.sock ({code}): " in message.text
    assert ("Failed", line.partition("failed: ")[2]) in message.facts
    cells = [cell.plain for cell in _cells(document)]
    assert cells[2] == "failure" and cells[3].endswith(f"/run/docker.sock, {line.partition('failed: ')[2]}")


def test_another_failure_is_no_repeat() -> None:
    denied, refused = (
        told("connected-to", serial=serial) | {"event": {"action": "connected-to", "outcome": "failure"}}
        for serial in (1, 2)
    )
    denied["error"], refused["error"] = {"code": "EACCES"}, {"code": "ECONNREFUSED"}
    assert len([line for line in lines(denied, refused) if "failed:" in line]) == 2


def test_a_flood_that_was_counted_only() -> None:
    whole = [told("connected-to", serial=serial) for serial in range(2500)]
    folded = told("connected-to", serial=9999, loss={"folded": 3500})
    assert f"{TIMES}6,000 within 1 s, 3,500 of them counted only" in "\n".join(lines(*whole, folded))
    alert = build(folded, RULE, view=None)
    assert "connected to /run/docker.sock, 3,500 times: " in of_alert(alert).text
    assert ("Repeats", "3,500 accesses, counted only") in of_alert(alert).facts
    assert one_line(alert)[3].endswith("/run/docker.sock, 3,500 accesses, counted only")
    assert f"{TIMES}3,500 within 1 s, 3,500 of them counted only" in "\n".join(lines(folded))


@pytest.mark.parametrize("count", ["many", -1, True, None])
def test_a_count_that_is_none(count: Any) -> None:
    text = "\n".join(lines(told("connected-to", loss={"folded": count})))
    assert "counted only" not in text and TIMES not in text
