"""The parser and its front ends: one event by four ways is one document, and no bytes are too odd for it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.auditrecords import REASONS, Assembler, Event, Record, Rejected, document_of, parse_datagram, parse_line

GOLDEN = Path(__file__).parent / "golden"
NUMBERS = {"SYSCALL": 1300, "PATH": 1302, "SOCKADDR": 1306, "CWD": 1307, "EOE": 1320, "PROCTITLE": 1327}
RECORDS = [
    (
        "SYSCALL",
        b"arch=c000003e syscall=42 success=yes exit=0 items=1 pid=200 uid=0 subj=docker-default (enforce) key=(null)",
    ),
    ("SOCKADDR", b"saddr=01002F72756E2F646F636B65722E736F636B00"),
    ("CWD", b'cwd="/"'),
    ("PATH", b'item=0 name="/run/docker.sock" inode=1207 dev=fe:00 mode=0140660 nametype=NORMAL'),
    ("PROCTITLE", b"proctitle=78002D79"),
]


def in_log(kind: str, body: bytes) -> bytes:
    return f"type={kind} msg=audit(1795292700.123:7): ".encode() + body


def in_datagram(kind: str, body: bytes, length: int) -> bytes:
    """struct nlmsghdr and payload; kernels disagree on what nlmsg_len counts, so any value may stand there."""
    payload = b"audit(1795292700.123:7): " + body
    return struct.pack("=IHHII", length, NUMBERS[kind], 0, 0, 0) + payload


def in_journal(kind: str, body: bytes) -> bytes:
    entry = {
        "_TRANSPORT": "audit",
        "_HOSTNAME": "web-1",
        "_AUDIT_TYPE": str(NUMBERS[kind]),
        "_AUDIT_ID": "7",
        "_SOURCE_REALTIME_TIMESTAMP": "1795292700123000",
        "MESSAGE": f"{kind} {body.decode()}",
    }
    return json.dumps(entry).encode()


def only_document(records: list[Record | Rejected | None]) -> dict[str, Any]:
    assembler = Assembler()
    events: list[Event] = []
    for record in records:
        assert isinstance(record, Record)
        events += assembler.push(record)
    (event,) = [*events, *assembler.flush()]
    document = document_of(event)
    assert document is not None
    return document


def test_one_event_is_one_document_whichever_way_it_came() -> None:
    log = only_document([parse_line(in_log(*record)) for record in RECORDS])
    enriched = only_document([parse_line(in_log(*record) + b'\x1dUID="root" SADDR={ x }') for record in RECORDS])
    node = only_document([parse_line(b"node=web-1 " + in_log(*record)) for record in RECORDS])
    journal = only_document([parse_line(in_journal(*record)) for record in RECORDS])
    wire = [in_datagram(*record, length=length) for length, record in enumerate([*RECORDS, ("EOE", b"")])]
    netlink = only_document([parse_datagram(datagram) for datagram in wire])
    backwards = only_document([parse_line(in_log(*record)) for record in reversed(RECORDS)])
    assert {log["_id"]} == {one["_id"] for one in (enriched, node, journal, netlink, backwards)}
    assert len(log["_id"]) == 64
    assert netlink == log
    assert enriched["user"]["name"] == "root"
    assert node["host"] == journal["host"] == {"os": {"type": "linux"}, "name": "web-1"}


def test_id_changes_with_time_serial_and_content() -> None:
    lines = [in_log(*record) for record in RECORDS]
    changed = [
        lines,
        [line.replace(b".123:7", b".124:7") for line in lines],
        [line.replace(b".123:7", b".123:8") for line in lines],
        [line.replace(b"pid=200", b"pid=201") for line in lines],
    ]
    assert len({only_document([parse_line(line) for line in each])["_id"] for each in changed}) == len(changed)


def test_datagram_that_ends_in_its_header_is_torn() -> None:
    whole = in_datagram(*RECORDS[0], length=0)
    for end in (0, 1, 15, 16, 17, 30):
        assert parse_datagram(whole[:end]) == Rejected("torn", whole[:end])


def test_type_number_without_a_name_keeps_its_number() -> None:
    record = parse_datagram(struct.pack("=IHHII", 0, 2999, 0, 0, 0) + b"audit(1.000:1): x")
    assert isinstance(record, Record) and record.type == "UNKNOWN[2999]"


def test_line_of_64_kib_is_a_record() -> None:
    record = parse_line(in_log("EXECVE", b'a0="' + b"A" * (1 << 19) + b'"'))
    assert isinstance(record, Record) and len(record.body) > 1 << 19


SEEDS = [line for path in sorted(GOLDEN.glob("*.log")) for line in path.read_bytes().split(b"\n") if len(line) < 4096]


@st.composite
def damaged_lines(draw: st.DrawFn) -> bytes:
    """A line of the golden logs with some bytes replaced, removed or put in."""
    line = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(line))), draw(st.integers(0, 8))
        line = line[:at] + draw(st.binary(max_size=8)) + line[at + length :]
    return line


def check(lines: list[bytes], parsed: list[Record | Rejected | None]) -> None:
    assembler = Assembler()
    events: list[Event] = []
    for record in parsed:
        if isinstance(record, Rejected):
            assert record.reason in REASONS
        elif record is not None:
            events += assembler.push(record)
    events += assembler.flush()
    assert assembler.counts.events == len(events) <= len(lines)
    for event in events:
        document = document_of(event)
        if document is not None:
            msgspec.json.encode(document)


@given(st.lists(damaged_lines() | st.binary(max_size=200), max_size=12))
def test_any_line_gives_a_record_a_reason_or_nothing(lines: list[bytes]) -> None:
    check(lines, [parse_line(line) for line in lines])


@given(st.lists(st.binary(max_size=300) | damaged_lines().map(lambda line: b"\0" * 16 + line[line.find(b"audit(") :])))
def test_any_datagram_gives_a_record_or_a_reason(datagrams: list[bytes]) -> None:
    check(datagrams, [parse_datagram(datagram) for datagram in datagrams])


KINDS = ["SYSCALL", "SOCKADDR", "CWD", "PATH", "PROCTITLE", "URINGOP", "OPENAT2", "SYSTEM_BOOT", "FOO"]
KEYS = [b"arch", b"syscall", b"a0", b"items", b"pid", b"uid", b"exe", b"saddr", b"name", b"mode", b"inode", b"uring_op"]
VALUES = [b"c000003e", b"42", b"257", b"1", b"0140660", b"01002F", b'"/run/docker.sock"', b"(null)", b"16", b'"']


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES) | st.binary(max_size=6))),
        )
    )
)
def test_any_fields_give_a_document_or_nothing(bodies: list[tuple[str, list[tuple[bytes, bytes]]]]) -> None:
    records = [
        Record(kind, 99999999999999, 1 << 32, b" ".join(b"%s=%s" % pair for pair in pairs), b"UID=\xff", b"\xff")
        for kind, pairs in bodies
    ]
    document = document_of(Event(b"\xff", 99999999999999, 1 << 32, records))
    if document is not None:
        msgspec.json.encode(document)
