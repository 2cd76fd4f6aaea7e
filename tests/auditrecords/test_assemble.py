"""The assembler: any order and interleaving, long-blocking calls, clocks that jump, bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.auditrecords import Assembler, Event, Record, document_of, parse_line
from sockwarden.auditrecords.assemble import EXPIRY, MOST_BYTES, MOST_OF_A_TYPE, MOST_OPEN, REMEMBERED
from sockwarden.document import get

NOW = 1795292700000


def connect(serial: int, time: int = NOW, *, pid: int = 200, node: bytes = b"") -> list[Record]:
    bodies = {
        "SYSCALL": b"arch=c000003e syscall=42 success=yes exit=0 items=1 pid=%d" % pid,
        "SOCKADDR": b"saddr=01002F72756E2F646F636B65722E736F636B00",
        "CWD": b'cwd="/"',
        "PATH": b'item=0 name="/run/docker.sock" inode=12 dev=fe:00 mode=0140660 nametype=NORMAL',
        "PROCTITLE": b"proctitle=78",
    }
    return [Record(kind, time, serial, body, node=node) for kind, body in bodies.items()]


def assemble(assembler: Assembler, records: Iterable[Record]) -> list[Event]:
    return [event for record in records for event in assembler.push(record)]


def addresses(events: Iterable[Event]) -> list[str]:
    return [get(document_of(event) or {}, "sockwarden.socket.address_as_given") for event in events]


def test_event_ends_with_its_last_record() -> None:
    assembler = Assembler()
    *first, last = connect(1)
    assert assemble(assembler, first) == []
    (event,) = assembler.push(last)
    assert event.complete and event.records == [*first, last]
    assert list(assembler.flush()) == []


@given(st.permutations([record for serial in range(3) for record in connect(serial, NOW + serial)]))
def test_any_order_of_interleaved_events_gives_the_same_documents(records: list[Record]) -> None:
    assembler = Assembler()
    events = [*assemble(assembler, records), *assembler.flush()]
    assert sorted(event.digest() for event in events) == sorted(
        Event(b"", NOW + serial, serial, connect(serial, NOW + serial)).digest() for serial in range(3)
    )
    assert addresses(events) == ["/run/docker.sock"] * 3
    assert (assembler.counts.late, assembler.counts.duplicates, assembler.counts.incomplete) == (0, 0, 0)


@given(st.permutations([*connect(1), Record("URINGOP", NOW, 1, b"uring_op=16 success=yes exit=0 items=0 pid=9")]))
def test_any_order_of_a_request_on_a_ring_gives_one_event(records: list[Record]) -> None:
    assembler = Assembler()
    events = [*assemble(assembler, records), *assembler.flush()]
    documents = [document for event in events if (document := document_of(event))]
    assert [get(document, "sockwarden.socket.address_as_given") for document in documents] == ["/run/docker.sock"]
    # Where URINGOP comes behind a PROCTITLE that ended the event, it is late, and that is counted.
    assert assembler.counts.events == 1
    assert assembler.counts.late == (records[-1].type == "URINGOP")


def test_event_without_an_end_is_closed_two_seconds_after_it_began() -> None:
    assembler = Assembler()
    assert assemble(assembler, connect(1)[:4]) == []
    assert assemble(assembler, connect(2, NOW + EXPIRY - 1)[:1]) == []
    (event,) = assembler.push(connect(3, NOW + EXPIRY)[0])
    assert (event.serial, event.complete) == (1, True)
    assert [event.serial for event in assembler.flush()] == [2, 3]
    assert assembler.counts.incomplete == 2


@pytest.mark.parametrize("behind", [EXPIRY, 60_000, 10**10])
def test_call_that_blocked_for_long_stays_one_event(behind: int) -> None:
    """Its time is when the call began, and a file system of the caller's own can hold a connect up."""
    assembler = Assembler()
    events = assemble(assembler, [*connect(9, NOW), *connect(1, NOW - behind), *connect(10, NOW + 1)])
    assert [event.serial for event in events] == [9, 1, 10]
    assert addresses(events) == ["/run/docker.sock"] * 3
    assert assembler.counts.late == 0


def test_nodes_whose_clocks_differ_do_not_disturb_each_other() -> None:
    assembler = Assembler()
    fast, slow = connect(1, NOW + 3_600_000, node=b"fast"), connect(1, NOW, node=b"slow")
    events = assemble(assembler, [record for pair in zip(fast, slow, strict=True) for record in pair])
    assert [event.node for event in events] == [b"fast", b"slow"]
    assert addresses(events) == ["/run/docker.sock"] * 2
    assert assembler.counts.late == 0


def test_record_that_stands_alone_does_not_close_the_event_whose_serial_it_has() -> None:
    assembler = Assembler()
    denial = Record("LANDLOCK_ACCESS", NOW, 1, b"domain=1 blockers=net.connect_tcp dest=80")
    daemon = Record("DAEMON_ROTATE", NOW, 1, b"op=rotate-logs")
    first, *rest = connect(1)
    events = assemble(assembler, [denial, first, daemon, *rest])
    assert addresses(events) == [None, None, "/run/docker.sock"]
    assert assembler.counts.late == 0


def test_copies_and_stragglers_are_counted_and_make_no_event() -> None:
    assembler = Assembler()
    records = connect(1)
    events = assemble(assembler, [records[0], records[0], *records[1:]])
    assert (len(events), assembler.counts.duplicates) == (1, 1)
    end = Record("EOE", NOW, 1, b"")
    assert assemble(assembler, [*records, end]) == []
    assert assembler.counts.late == len(records)
    assert list(assembler.flush()) == []


def test_open_events_are_bounded_in_number() -> None:
    assembler = Assembler()
    events = assemble(assembler, (connect(serial)[0] for serial in range(MOST_OPEN + 10)))
    assert [event.serial for event in events] == list(range(10))
    assert assembler.counts.incomplete == 10
    assert len(list(assembler.flush())) == MOST_OPEN


def test_open_events_are_bounded_in_bytes() -> None:
    assembler = Assembler()
    size = MOST_BYTES // 64
    body = b"A" * size
    events = [event for serial in range(70) for event in assembler.push(Record("EXECVE", NOW, serial, body))]
    assert [event.serial for event in events] == list(range(6))
    assert len(list(assembler.flush())) == 64


def test_an_event_is_bounded_and_a_flood_hides_nothing() -> None:
    # One io_uring_enter may carry any number of requests; the records that say who and where come after them.
    flood = [Record("URINGOP", NOW, 1, b"uring_op=16 n=%d" % number) for number in range(MOST_OF_A_TYPE * 2)]
    assembler = Assembler()
    (event,) = assemble(assembler, [*flood, *connect(1)])
    assert len(event.all("URINGOP")) == MOST_OF_A_TYPE and not event.complete
    assert assembler.counts.incomplete == 1
    assert addresses([event]) == ["/run/docker.sock"]


def test_closed_events_are_remembered_for_a_while() -> None:
    assembler = Assembler()
    alone = [Record("USER_LOGIN", NOW, serial, b"") for serial in range(REMEMBERED + 1)]
    assert len(assemble(assembler, alone)) == len(alone)
    assert assemble(assembler, [alone[-1]]) == []
    assert len(assemble(assembler, [alone[0]])) == 1


def test_a_flood_does_not_push_the_socket_out() -> None:
    """Thousands of other files in one io_uring_enter, the socket among the last."""
    others = [Record("PATH", NOW, 1, b'item=%d name="/x%d" mode=0100644' % (n, n)) for n in range(MOST_OF_A_TYPE + 9)]
    events = assemble(Assembler(), [*others, *connect(1)])
    (event,) = events or [*Assembler().flush()]
    assert any(b"mode=0140660" in record.body for record in event.all("PATH"))


LINES = [b"type=%s msg=audit(1795292700.000:1): %s" % (record.type.encode(), record.body) for record in connect(1)]
URING = [
    b"type=URINGOP msg=audit(1795292700.000:1): uring_op=16 success=yes exit=0 items=1 ppid=1 pid=2 uid=0",
    LINES[0].replace(b"syscall=42", b"syscall=426"),
    *LINES[1:],
]
SOCKETCALL = [
    LINES[0].replace(b"arch=c000003e syscall=42", b"arch=40000003 syscall=102"),
    b"type=SOCKETCALL msg=audit(1795292700.000:1): nargs=3 a0=3 a1=ff a2=13",
    *LINES[1:],
]
ODD = [
    *LINES,
    *URING[:2],
    *SOCKETCALL[:2],
    URING[0].replace(b"items=1", b"items=2"),
    LINES[1] + b" items=7",
    LINES[3].replace(b"item=0", b"item=1"),
    LINES[0].replace(b"items=1", b"items=0"),
    LINES[0] + b"\x1dARCH=x86_64 SYSCALL=connect",
    b"node=a " + LINES[1],
    LINES[1].replace(b":1)", b":2)"),
    b"type=EXECVE msg=audit(1795292700.000:1): argc=0",
    b"type=EOE msg=audit(1795292700.000:1): ",
    b"torn",
]


@pytest.mark.parametrize("lines", [LINES, URING, SOCKETCALL])
def test_an_event_that_lies_together_is_taken_whole(lines: list[bytes]) -> None:
    assembler, records = Assembler(), [record for line in lines if isinstance(record := parse_line(line), Record)]
    event = assembler.whole(lines)
    assert event and event.records == records and event.complete
    assert assembler.whole(lines) is None
    assert assemble(assembler, records) == [] and assembler.counts.late == len(lines)


TOGETHER = st.sampled_from([LINES, URING, SOCKETCALL])


@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=7) | TOGETHER | TOGETHER.flatmap(st.permutations))
def test_lines_taken_whole_are_the_event_that_their_records_make(lines: list[bytes]) -> None:
    whole = Assembler().whole(lines)
    assembler = Assembler()
    records = [record for line in lines if isinstance(record := parse_line(line), Record)]
    events = [*assemble(assembler, records), *assembler.flush()]
    assert whole is None or [whole] == events
    assert whole is not None or lines not in (LINES, URING, SOCKETCALL)
