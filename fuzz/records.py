"""Audit records in every form they come in: lines of a log, of dmesg, of a journal export, and datagrams."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from fuzz.hunting import carry, hunt

from sockwarden.auditrecords import REASONS, Assembler, Event, Record, Rejected, document_of, parse_datagram, parse_line
from sockwarden.auditrecords.types import name_of

LONGEST = 4096

_NUMBERS = {name_of(number): number for number in range(1000, 3000)}
_CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"


def seeds() -> Iterator[bytes]:
    """Each event of the captures, once for each set of calls and record types."""
    seen = set()
    for path in sorted(_CAPTURES.glob("*.audit.log")):
        events: dict[bytes, list[bytes]] = {}
        for line in path.read_bytes().splitlines(keepends=True):
            events.setdefault(line.partition(b"(")[2].partition(b")")[0], []).append(line)
        for lines in events.values():
            shape = tuple(line.partition(b" ")[0] + line.partition(b" syscall=")[2][:4] for line in lines)
            if shape not in seen:
                seen.add(shape)
                yield b"".join(lines)
                yield b"".join(lines).replace(b"type=SYSCALL msg=", b"[   17.5] audit: type=1300 ")


def check(data: bytes) -> None:
    """Parses, assembles, interprets; then everything that a hunt does with it."""
    _is_known(parse_datagram(data))
    assembler = Assembler()
    events: list[Event] = []
    pushed = 0
    for line in data.split(b"\n"):
        record = parse_line(line)
        if record is None:
            continue
        _is_known(record)
        if isinstance(record, Record):
            pushed += record.type != "EOE"
            _same_from_the_wire(record)
            events += assembler.push(record)
    events += assembler.flush()
    counts = assembler.counts
    assert counts.events == len(events)
    kept = sum(record.type != "EOE" for event in events for record in event.records)
    assert kept <= pushed <= kept + counts.duplicates + counts.late
    documents = []
    for event in events:
        _digest_is_stable(event)
        document = document_of(event)
        assert document == document_of(event)
        if document:
            assert document["_id"] == event.digest()
            documents.append(document)
    carry(documents)
    hunt(data)


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
