"""Logs that were written to be missed: a hunt finds in them what judging every event does, compiled or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from sockwarden import compiled
from sockwarden.detect import RuleDetection
from sockwarden.pipeline.hunt import Hunt, Started
from sockwarden.readers import plan
from sockwarden.rules import load_packaged
from sockwarden.sinks import Lines

DOCKER = b"/run/docker.sock".hex().upper().encode()
CONNECT = (
    b"type=SYSCALL msg=audit(1795000050.000:50): arch=c000003e syscall=42 success=yes exit=0 a0=3 a1=7ffd a2=6e a3=0 "
    b"items=1 ppid=1 pid=50 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=2 "
    b'comm="x" exe="/x" key=(null)\n'
    b"type=SOCKADDR msg=audit(1795000050.000:50): saddr=0100%s00\n"
    b'type=CWD msg=audit(1795000050.000:50): cwd="/"\n'
    b'type=PATH msg=audit(1795000050.000:50): item=0 name="/run/docker.sock" inode=7 dev=00:18 mode=0140666 ouid=0 '
    b"ogid=0 rdev=00:00 nametype=NORMAL\n"
    b"type=PROCTITLE msg=audit(1795000050.000:50): proctitle=2F78\n"
) % DOCKER
REQUEST = (
    b"type=URINGOP msg=audit(1795000050.000:50): uring_op=16 success=yes exit=0 items=1 ppid=1 pid=50 uid=0 gid=0 euid=0 "  # noqa: E501
    b"suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 key=(null)\n"
)
FAILED = REQUEST.replace(b"success=yes exit=0", b"success=no exit=-2")
NOT_BY_INODE = (b"mode=0140666", b"mode=0100666")


def others(size: int) -> bytes:
    """As much as other events take."""
    lines = (
        b"type=USER_END msg=audit(1795000000.120:%d): pid=1 uid=0 msg='op=PAM'\n" % number for number in range(size)
    )
    return b"".join(line for _, line in zip(range(size // 70 + 1), lines, strict=False))


def by(number: bytes, event: bytes = CONNECT) -> bytes:
    return event.replace(b"syscall=42", b"syscall=" + number)


def of_node(name: bytes, event: bytes = CONNECT) -> bytes:
    return re.sub(rb"(?m)^type=", b"node=" + name + b" type=", event)


def changed(*pairs: tuple[bytes, bytes]) -> bytes:
    event = CONNECT
    for old, new in pairs:
        assert old in event
        event = event.replace(old, new)
    return event


LOGS: dict[str, Sequence[bytes]] = {
    "a type by its number: the address": [changed((b"type=SOCKADDR", b"type=UNKNOWN[1306]"), NOT_BY_INODE)],
    "a type by its number: the file": [changed((b"type=PATH", b"type=UNKNOWN[1302]"), (DOCKER, b"2F782E736F636B"))],
    "what looks like a NUL across two bytes, behind a blank": [
        changed(
            (b"saddr=0100" + DOCKER, b"saddr=0100\t2FF00F2F2E2E2F" + DOCKER),
            (b'name="/run/docker.sock"', b'name="/x"'),
            NOT_BY_INODE,
        )
    ],
    "two nodes with one stamp, near": [of_node(b"a") + of_node(b"b").replace(b"pid=50 ", b"pid=51 ")],
    "two nodes with one stamp": [of_node(b"a") + others(5000) + of_node(b"b").replace(b"pid=50 ", b"pid=51 ")],
    "two nodes with one stamp, far": [of_node(b"a") + others(90_000) + of_node(b"b").replace(b"pid=50 ", b"pid=51 ")],
    "a node's event within another's": [
        of_node(b"a")
        + of_node(b"b", CONNECT.splitlines(keepends=True)[0])
        + others(5000)
        + of_node(b"b", b"".join(CONNECT.splitlines(keepends=True)[1:])).replace(b"pid=50 ", b"pid=51 ")
    ],
    "a request before the call, by x32": [REQUEST + others(5000) + by(b"1073742250")],
    "a request before the call, by an architecture that is not listed": [
        REQUEST
        + others(5000)
        + by(b"426", CONNECT)
        .replace(b"arch=c000003e", b"arch=c00000ff")
        .replace(b"key=(null)", b'key=(null)\x1dARCH=zz SYSCALL=io_uring_enter AUID="root"')
    ],
    "requests in two files of a rotation": [REQUEST, FAILED + by(b"426")],
    "two calls of one event": [
        changed((b"items=1", b"items=2")) + CONNECT + others(5000) + CONNECT.splitlines(keepends=True)[3]
    ],
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("around", [70, 40_000])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_the_same_is_found(
    name: str, around: int, is_compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = list(LOGS[name])
    parts[0] = others(around) + parts[0]
    parts[-1] += others(around)
    for number, part in enumerate(reversed(parts)):
        (tmp_path / f"audit.log{f'.{number}' if number else ''}").write_bytes(part)
    if not is_compiled:
        monkeypatch.setattr(compiled, "library", lambda: None)
    detections = [RuleDetection(rule) for rule in load_packaged()]
    lines = Lines("ndjson")
    everything = Hunt(detections, processes=1, every_event=True)
    expected = [lines.line(alert) for alert in everything.alerts(plan([str(tmp_path)]))]
    hunt, found = Hunt(detections, processes=1), []
    for alert in hunt.found(plan([str(tmp_path)]), lines=lines):
        assert isinstance(alert, Started) and alert.start is not None
        found.append(alert.start + lines.end(alert.detector.rule))
    assert found == expected
    assert len(found) > 0
