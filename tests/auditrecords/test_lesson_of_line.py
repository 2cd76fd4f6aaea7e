"""What a line that comes alone teaches, told without a parse: the same as with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockwarden.auditrecords import Event, Record, lesson_of, lesson_of_line, parse_line

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
PLAIN = (
    b'type=PATH msg=audit(1795000000.123:45): item=0 name="/run/docker.sock" inode=7 dev=00:18 mode=0140660 ouid=0 '
    b"ogid=0 rdev=00:00 nametype=NORMAL cap_fp=0 cap_fi=0"
)


def parsed(line: bytes) -> object:
    record = parse_line(line)
    assert isinstance(record, Record)
    return lesson_of(Event(record.node, record.time, record.serial, [record], complete=False))


def test_socket_files_of_captures_teach_the_same() -> None:
    files = [log.read_bytes() for log in sorted(CAPTURES.glob("*.audit.log"))]
    lines = {line for text in files for line in text.split(b"\n") if b"type=PATH " in line and b" mode=014" in line}
    told = [line for line in lines if lesson_of_line(line)]
    assert len(told) > len(lines) / 2
    assert [lesson_of_line(line) for line in told] == list(map(parsed, told))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"cap_fi=0", b'cap_fi=0\x1dOUID="root" OGID="root"'),
        (b" cap_fp=0 cap_fi=0", b""),
        (b"cap_fi=0", b"cap_fi=0 name=x inode=8 mode=0100644"),
        (b"/run/docker.sock", rb"/run/\x41=.sock"),
        (b"NORMAL", b"DELETE"),
        (b"docker.sock", b"./../run//docker.sock"),
    ],
)
def test_a_plain_line_is_told(old: bytes, new: bytes) -> None:
    line = PLAIN.replace(old, new)
    assert lesson_of_line(line) == parsed(line) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"type=PATH", b"node=a type=PATH"),
        (b'"/run/docker.sock"', b"2F72756E2F6120"),
        (b"docker.sock", b"docker .sock"),
        (b"mode=0140660", b"mode=0100660"),
        (b"mode=0140660", b"mode=0141777"),
        (b"item=0 ", b"item=0 inode=9 "),
        (b"inode=7 ", b""),
        (b"45)", b"45) "),
    ],
)
def test_another_line_is_left_to_the_parser(old: bytes, new: bytes) -> None:
    assert lesson_of_line(PLAIN.replace(old, new)) is None
