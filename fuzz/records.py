"""Audit records in every form they come in: lines of a log, of dmesg, of a journal export, and datagrams."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import accumulate, product
from pathlib import Path
from random import Random
from unittest.mock import patch

from fuzz.hunting import carry, hunt, identities, judge, learn

from sockwarden import compiled
from sockwarden.auditrecords import (
    REASONS,
    Assembler,
    Event,
    Record,
    Rejected,
    document_of,
    lesson_of,
    parse_datagram,
    parse_line,
)
from sockwarden.auditrecords.record import fields, text
from sockwarden.auditrecords.types import name_of
from sockwarden.document import Document
from sockwarden.readers import gathering, stretches
from sockwarden.sockets import Lessons

LONGEST = 4096

_NUMBERS = {name_of(number): number for number in range(1000, 3000)}
_RESTART = 100
_REACH = 1024
_CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"


_STAMP = re.compile(rb"audit\((\d+)\.(\d+):(\d+)\)")
_INODE = re.compile(rb" inode=\d+ dev=\S+ mode=014")


def seeds() -> Iterator[bytes]:
    """Each access of the captures that differs in call, address or path, behind the first event on the same inode;
    journal exports; and what can happen to an inode between a lesson and an alias.
    """
    seen = set()
    for path in sorted(_CAPTURES.glob("*.audit.log")):
        events: dict[bytes, list[bytes]] = {}
        for line in path.read_bytes().splitlines(keepends=True):
            events.setdefault(line.partition(b"(")[2].partition(b")")[0], []).append(line)
        on_inode: dict[bytes, bytes] = {}
        for lines in events.values():
            event = b"".join(lines)
            before = b"".join({on_inode.setdefault(inode, event) for inode in _INODE.findall(event)} - {event})
            access = tuple(re.findall(rb" (?:type|syscall|saddr|name|cwd|uring_op)=\S+", event))
            if access not in seen:
                seen.add(access)
                yield before + event
    yield event.replace(b"type=SYSCALL msg=", b"[   17.5] audit: type=1300 ").replace(
        b"type=SOCKADDR msg=", b"audit: type=1306 "
    )
    yield from _JOURNAL
    for name, cwd in product(_PATHS, (b"/run", b"/run/containerd/s")):
        alias = _event(9, 42, _PATHS[-1], cwd, b"NORMAL")
        for call, kind in ((42, b"NORMAL"), (49, b"CREATE")):
            for after in (b"", _event(2, 87, name, cwd, b"DELETE"), _event(2, 82, name, cwd, b"DELETE"), _BOOT):
                yield _event(1, call, name, cwd, kind) + after + alias


def _event(serial: int, call: int, name: bytes, cwd: bytes, kind: bytes) -> bytes:
    address = b"0100" + name.hex().upper().encode() + b"00"
    bodies = (
        (b"SYSCALL", b'arch=c000003e syscall=%d success=yes exit=0 items=1 pid=1 uid=0 exe="/x"' % call),
        (b"SOCKADDR", b"saddr=" + address),
        (b"CWD", b'cwd="%b"' % cwd),
        (b"PATH", b"item=0 name=%b inode=7 dev=fe:00 mode=0140660 nametype=%b cap_fp=0" % (address[4:-2], kind)),
        (b"PROCTITLE", b"proctitle=78"),
    )
    return b"".join(
        b"type=%b msg=audit(1790000000.%03d:%d): %b\n" % (one, serial, serial, body) for one, body in bodies
    )


_BOOT = b"type=SYSTEM_BOOT msg=audit(1790000000.002:2): pid=1 uid=0 msg='comm=\"x\" res=success'\n"
_JOURNAL = (
    b"""{"_TRANSPORT":"audit","_AUDIT_TYPE":"1300","_AUDIT_ID":"7","_SOURCE_REALTIME_TIMESTAMP":"1790000000123000",\
"MESSAGE":"SYSCALL arch=c000003e syscall=42 success=yes exit=0 items=0 pid=1 uid=0 exe=\\"/x\\""}
{"_TRANSPORT":"audit","_AUDIT_TYPE":"1306","_AUDIT_ID":"7","_SOURCE_REALTIME_TIMESTAMP":"1790000000123000",\
"MESSAGE":"SOCKADDR saddr=01002F72756E2F646F636B65722E736F636B00"}""",
    b"""{"_TRANSPORT":"kernel","MESSAGE":"audit: type=1300 audit(1790000000.123:7): syscall=42"}
{"_TRANSPORT":"audit","_AUDIT_ID":"7","MESSAGE":[83,89,83,67,65,76,76,32,255]}""",
)

_PATHS = (
    b"/run/docker.sock",
    b"/var/run/docker.sock",
    b"/x/..//run/./docker.sock",
    b"docker.sock",
    b"/proc/self/root/run/docker.sock",
    b"/proc/self/cwd/docker.sock",
    b"/run/containerd/containerd.sock",
    b"/run/containerd/s/0a",
    b"../s/0a",
    b"/tmp/d",
    b"d",
    b"/tmp/\xc3\xa9 \n",
)
_ADDRESSES = (*(b"\x01\0" + path + b"\0" for path in _PATHS), b"\0\x01" + _PATHS[0], b"\x01\0\0/containerd-shim/x")
_ADDRESSES += (b"\x01\0", b"\x02\0\x09\x47\x7f\0\0\1" + bytes(8), b"\x0a\0\x09\x47" + bytes(24), b"\x10\0")
_VALUES: dict[bytes, tuple[bytes, ...]] = {
    b"saddr": tuple(address.hex().upper().encode() for address in _ADDRESSES),
    b"name": (b"(null)", *(path.hex().upper().encode() for path in _PATHS), *(b'"%b"' % path for path in _PATHS[:-1])),
    b"cwd": (b'"/run"', b'"/"', b'"/tmp"', b'"/run/containerd/s"', b"(null)"),
    b"inode": (b"7", b"8", b"18446744073709551615"),
    b"dev": (b"fe:00", b"00:1a"),
    b"mode": (b"0140660", b"0100644", b"0120777"),
    b"nametype": (b"NORMAL", b"CREATE", b"DELETE", b"PARENT"),
    b"arch": (b"c000003e", b"40000003", b"c00000b7", b"80000016", b"c0000102", b"8"),
    b"syscall": (b"42", b"49", b"257", b"87", b"82", b"437", b"102", b"362", b"1073741866", b"426", b"connect"),
    b"a0": (b"2", b"3"),
    b"items": (b"0", b"1", b"2"),
    b"uring_op": (b"16", b"18", b"28", b"35", b"36", b"56"),
    b"exe": (b'"/usr/bin/containerd"', b'"/x"', b"2F78202864656C6574656429"),
}


def vary(data: bytes, seed: int) -> bytes | None:
    """The same log with one field, line or event changed to another that is likely; None for what has no record."""
    random = Random(seed)  # noqa: S311 - libFuzzer's seed, so that a session can be had again
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    stamp = _STAMP.search(lines[at])
    if not stamp:
        return None
    match random.randrange(6):
        case 0 | 1 | 2:
            key = random.choice([key for key in _VALUES if b" %b=" % key in lines[at]] or [*_VALUES])
            without = re.sub(rb" %b=\S*" % key, b"", lines[at], count=1)
            lines[at] = b"%b %b=%b" % (without, key, random.choice(_VALUES[key]))
        case 3:
            event = [line for line in lines if stamp[0] in line]
            later = b"audit(%d.%b:%d)" % (int(stamp[1]) + random.randrange(3), stamp[2], int(stamp[3]) + 1)
            lines += [line.replace(stamp[0], later) for line in event]
        case 4:
            lines.insert(random.randrange(len(lines)), lines.pop(at))
        case _:
            del lines[at]
    return b"\n".join(lines)


def check(data: bytes) -> None:
    """Parses, assembles, interprets; then everything that a hunt does with it. In a log as a kernel and auditd write
    one, a hunt finds what judging every event would.
    """
    _is_known(parse_datagram(data))
    records = []
    for line in data.split(b"\n"):
        record = parse_line(line)
        if isinstance(record, Record):
            _same_from_the_wire(record)
            records.append(record)
        elif record:
            _is_known(record)
    events, _ = _assembled(records)
    for event in events:
        _digest_is_stable(event)
    carry(_documents(events), _taught(events))
    hunt(data)
    log = b"".join(map(_written, records))
    events, is_clear = _assembled(
        [record for record in map(parse_line, log.split(b"\n")) if isinstance(record, Record)]
    )
    if is_clear and _is_together(log):
        expected = identities(judge(_documents(events), _taught(events)))
        assert hunt(log) == expected
        small = {"REACH": _REACH, "STRETCH_BYTES": _REACH, "PIECE_BYTES": _REACH // 2}
        with patch.object(gathering, "REACH", _REACH), patch.multiple(stretches, **small):
            assert hunt(log) == expected, "in small pieces, as a large log is read"
        with patch.object(compiled, "library", lambda: None):
            assert hunt(log) == expected, "without what is compiled"


def _is_together(log: bytes) -> bool:
    """Whether the lines of each event lie as near to each other as the reader takes them to."""
    starts: dict[bytes, int] = {}
    for line in re.finditer(rb"[^\n]+", log):
        stamp = _STAMP.search(line[0])
        if stamp and line.end() - starts.setdefault(stamp[0], line.start()) >= _REACH:
            return False
    return True


def _assembled(records: list[Record]) -> tuple[list[Event], bool]:
    """The events, and whether skipping lines may not change them: no record came after its event was closed, which
    happens the sooner the more lines there are, and no serials fell back as at a boot that left no record.
    """
    assembler = Assembler()
    events = [event for record in records for event in assembler.push(record)]
    events += assembler.flush()
    counts = assembler.counts
    assert counts.events == len(events)
    kept = sum(record.type != "EOE" for event in events for record in event.records)
    pushed = sum(record.type != "EOE" for record in records)
    assert kept <= pushed <= kept + counts.duplicates + counts.late
    highest = accumulate((record.serial for record in records), max)
    fell_back = any(record.serial + _RESTART < most for record, most in zip(records, highest, strict=True))
    return events, not counts.late and not fell_back


def _documents(events: list[Event]) -> list[Document]:
    return list(filter(None, map(document_of, events)))


def _taught(events: list[Event]) -> Lessons:
    return learn(filter(None, map(lesson_of, events)))


_UNTRUSTED = frozenset({b"name", b"exe", b"comm", b"cwd", b"proctitle", b"cmd", b"acct", b"data", b"key", b"path"})
_ONLY_OF = {b"saddr": "SOCKADDR", b"inode": "PATH", b"mode": "PATH", b"nametype": "PATH"}


def _written(record: Record) -> bytes:
    """The line that auditd would write of a record with these fields: no key twice or in a foreign record, nothing
    in a value that ends it, hex in upper case (kernel/audit.c, audit_log_n_untrustedstring).
    """
    if len(record.type) > 40 or len(record.node) > 64:
        return b""
    pairs = []
    for key, value in fields(record.body).items():
        plain = text(value) if key in _UNTRUSTED else value
        if key in _UNTRUSTED and plain is not None:
            bare = re.search(rb"[^!#-~]", plain)
            plain = plain.hex().upper().encode() if bare else b'"' + plain + b'"'
        elif key == b"saddr":
            plain = value.upper()
        elif key == b"mode":
            plain = b"0" + value.lstrip(b"0")
        if _ONLY_OF.get(key, record.type) == record.type and not re.search(rb"\s", plain or b""):
            pairs.append(key + b"=" + (b"(null)" if plain is None else plain))
    head = b"node=%b " % record.node if record.node else b""
    stamp = b"%d.%03d:%d" % (record.time // 1000, record.time % 1000, record.serial)
    return head + b"type=%b msg=audit(%b): %b end=1\n" % (record.type.encode(), stamp, b" ".join(pairs))


def _is_known(record: Record | Rejected) -> None:
    assert isinstance(record, Record) or record.reason in REASONS


def _same_from_the_wire(record: Record) -> None:
    """The kernel's own text of a record gives the same record from a datagram and from a log."""
    expected = Record(record.type, record.time, record.serial, record.body)
    stamp = f"audit({record.time // 1000}.{record.time % 1000:03d}:{record.serial}): ".encode()
    assert parse_line(f"type={record.type} msg=".encode() + stamp + record.body) == expected
    if number := _NUMBERS.get(record.type):
        payload = stamp + record.body
        assert parse_datagram(struct.pack("=IHHII", 16 + len(payload), number, 0, 0, 0) + payload) == expected


def _digest_is_stable(event: Event) -> None:
    records = [Record(record.type, record.time, record.serial, record.body) for record in reversed(event.records)]
    records.append(Record("EOE", event.time, event.serial, b""))
    other = Event(b"elsewhere", event.time, event.serial, records, not event.complete)
    assert other.digest() == event.digest()
    document_of(other)
