"""The audit log reader: what it skips could hold nothing wanted, and what it cannot parse is counted."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sockwarden import compiled
from sockwarden.auditrecords import REASONS, Assembler, Record, lesson_of, parse_line
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.literals import Wanted
from sockwarden.readers import auditlog, format_of, plan, streams, stretches
from sockwarden.readers.tally import QUARANTINE_BYTES, Quarantine, Tally
from sockwarden.sockets import Lessons, Resolver, lesson_in, packaged

CAPTURES = sorted((Path(__file__).parents[1] / "data" / "captures").glob("*.audit.log"))
EVERYTHING = Wanted(everything=True)


@pytest.fixture(scope="module", params=["compiled", "python"], autouse=True)
def walk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Logs are read by what is compiled, and without it."""
    if request.param == "compiled" and not compiled.library():
        (pytest.fail if "CI" in os.environ else pytest.skip)("nothing is compiled: there was no C compiler")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(compiled, "library", lambda: None)
        yield


SOCKETS = ["/run/docker.sock", "/run/containerd/containerd.sock", "/run/containerd/s/0123abcd", "/run/crio/crio.sock"]
NAMES = [
    *SOCKETS,
    "/var/run/docker.sock",
    "/run//./docker.sock",
    "docker.sock",
    "../run/docker.sock",
    "/proc/self/cwd/docker.sock",
    "/proc/1/root/run/docker.sock",
    "alias",
    "/srv/alias",
    "/srv/a b",
    "/run/nscd/socket",
    "/run/dbus/system_bus_socket",
    "\0/run/docker.sock",
    "\0/containerd-shim/m/1/shim.sock",
    "",
]


def generated_event(chance: random.Random, serial: int) -> list[bytes]:
    """The records of a made-up call: connects by several ABIs, opens, binds, unlinks, boots, and what is neither."""
    name = chance.choice(NAMES)
    inode, number = chance.randrange(1, 6), chance.choice([42, 42, 42, 257, 49, 87, 59, 1])
    arch = chance.choice([b"c000003e", b"c000003e", b"40000003"])
    call = 102 if arch == b"40000003" else number
    quoted = name.encode() if name.isprintable() and " " not in name else None
    shown = b'"%s"' % quoted if quoted else name.encode().hex().upper().encode()
    nametype = {49: b"CREATE", 87: b"DELETE"}.get(number, b"NORMAL")
    has_path = not name.startswith("\0") and name != "" and number != 1
    bodies = [
        b'type=SYSCALL %%sarch=%s syscall=%d success=yes exit=0 a0=3 a2=0 items=%d pid=9 uid=0 exe="/bin/x" key=(null)'
        % (arch, call, has_path)
    ]
    if number in (42, 49):
        padding = chance.choice([b"", b"\0", b"\0\xff\xfe junk"])
        inet = chance.choice(["020009477F00000100000000", "0200005070000001", "0A00094800000000" + "0" * 32, "100000"])
        unix = "0100" + (name.encode() + (padding if has_path else b"")).hex().upper()
        bodies.append(b"type=SOCKADDR %%ssaddr=%s" % chance.choice([unix, unix, unix, unix, inet]).encode())
    if has_path:
        mode = chance.choice([b"0140660", b"0140660", b"0140777", b"0100644"])
        bodies.append(b'type=CWD %%scwd="%s"' % chance.choice([b"/run", b"/", b"/srv"]))
        bodies.append(
            b"type=PATH %%sitem=0 name=%s inode=%d dev=fe:00 mode=%s ouid=0 nametype=%s cap_fp=0"
            % (shown, inode, mode, nametype)
        )
    bodies.append(b"type=PROCTITLE %sproctitle=78")
    if chance.random() < 0.02:
        bodies = [chance.choice([b"type=SYSTEM_BOOT %spid=1 uid=0 msg='res=success'", b"type=KERNEL %sres=1"])]
    stamp = b"msg=audit(%d.%03d:%d): " % (1795292700 + serial // 50, serial % 50 * 20, serial)
    enriched = chance.choice([b"", b'\x1dARCH=x86_64 UID="root"'])
    return [body % stamp + enriched for body in bodies]


def generated_log(seed: int, events: int, *, torn: bool = True) -> bytes:
    """A log of made-up events, some of them interleaved with the next and some lines torn; the same for equal seeds."""
    chance = random.Random(seed)  # noqa: S311 - a test's own data
    lines: list[bytes] = []
    held: list[bytes] = []
    for serial in range(events):
        event = generated_event(chance, serial)
        if chance.random() < 0.2:
            event, held = event[:1], [*held, *event[1:]]
        lines += event
        if chance.random() < 0.3 or len(held) > 20:
            lines, held = lines + held, []
        if torn and chance.random() < 0.02:
            lines.append(
                chance.choice([b"", b"garbage", b"type=PATH msg=audit(1.0", b"\xff\0\x1d", b"node=", lines[-1][:50]])
            )
    return b"\n".join([*lines, *held]) + b"\n"


def stream_of(folder: Path, content: bytes) -> streams.Stream:
    path = folder / "audit.log"
    path.write_bytes(content)
    return plan([str(path)])[0]


def reached(stream: streams.Stream, *, skip: bool) -> list[Document]:
    """The accesses that reached a runtime socket, with the reader skipping what it may, or nothing."""
    catalogue = packaged()
    lessons = Lessons()
    with stream:
        # What a stretch saw while it taught is used when it is read.
        parts = stretches.stretches_of(stream)
        for document in lessons_in(parts, catalogue.wanted) if skip else all_lessons(stream):
            lessons.learn(lesson_in(document, catalogue))
        wanted = catalogue.wanted | Wanted(inodes=lessons.taught(catalogue.wanted.addresses)) if skip else EVERYTHING
        resolver = Resolver(catalogue, lessons)
        found = []
        for document in read(stream, wanted, Tally(), parts):
            resolver.resolve(document)
            if get(document, "sockwarden.socket.canonical"):
                found.append(document)
    return sorted(found, key=moment)


def moment(document: Document) -> tuple[str, int]:
    return document["@timestamp"], document["event"]["sequence"]


def all_lessons(stream: streams.Stream) -> Iterator[Document]:
    """What every event of a log teaches, by time."""
    assembler = Assembler()
    records = [record for line in b"".join(stream.chunks()).split(b"\n") if (record := parse_line(line))]
    events = [event for record in records if isinstance(record, Record) for event in assembler.push(record)]
    found = [lesson for event in (*events, *assembler.flush()) if (lesson := lesson_of(event))]
    return iter(sorted(found, key=moment))


def read(
    stream: streams.Stream, wanted: Wanted, tally: Tally, parts: list[stretches.Stretch] | None = None
) -> Iterator[Document]:
    for stretch in parts or stretches.stretches_of(stream):
        yield from auditlog.documents(stretch, wanted, tally)


def lessons_in(parts: list[stretches.Stretch], wanted: Wanted) -> Iterator[Document]:
    for stretch in parts:
        yield from auditlog.lessons(stretch, wanted, wanted, Tally())


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_nothing_is_skipped_that_reached_a_runtime_socket(capture: Path) -> None:
    stream = plan([str(capture)])[0]
    everything = reached(stream, skip=False)
    assert everything and reached(plan([str(capture)])[0], skip=True) == everything


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [700, 1 << 14, 1 << 24])
def test_nothing_is_skipped_in_a_generated_log(
    tmp_path: Path, seed: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", size)
    monkeypatch.setattr(stretches, "PIECE_BYTES", min(size // 8 + 600, stretches.PIECE_BYTES))
    content = generated_log(seed, 400)
    everything = reached(stream_of(tmp_path, content), skip=False)
    assert len(everything) > 20
    assert reached(stream_of(tmp_path, content), skip=True) == everything


@pytest.mark.parametrize("between", [0, 5_000, 30_000, 300_000, 1_500_000])
def test_what_was_asked_of_an_io_uring_long_before_the_call_around_it_ended(tmp_path: Path, between: int) -> None:
    """As much as others do meanwhile lies between the records."""
    capture = next(path for path in CAPTURES if path.name == "inode-rules.audit.log")
    events: dict[bytes, list[bytes]] = {}
    for line in capture.read_bytes().splitlines():
        events.setdefault(line.split(b"msg=")[1].split(b")")[0], []).append(line)
    (request, *call), *_ = (event for event in events.values() if event[0].startswith(b"type=URINGOP"))
    noise = record("USER_END", b"pid=1 uid=0 msg='op=PAM:session_close acct=\"root\"'", 7) + b"\n"
    log = [noise, request, b"\n", noise * (between // len(noise)), b"\n".join(call), b"\n", noise]
    (document,) = reached(stream_of(tmp_path, b"".join(log)), skip=True)
    assert get(document, "event.action") == "connected-to"


LINES = generated_log(99, 40).split(b"\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=60))
def test_nothing_is_skipped_in_any_order_of_lines(tmp_path: Path, lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    everything = reached(stream_of(tmp_path, content), skip=False)
    assert reached(stream_of(tmp_path, content), skip=True) == everything


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from(LINES), max_size=12).map(b"\n".join))
def test_any_bytes_give_documents_or_counts(tmp_path: Path, content: bytes) -> None:
    packed = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh", b"PK\x03\x04")
    assume(not content.startswith(packed))  # and damaged, or of a kind that is not read
    for wanted in (EVERYTHING, packaged().wanted):
        tally = Tally()
        with stream_of(tmp_path, content) as stream:
            for document in (*lessons_in(stretches.stretches_of(stream), wanted), *read(stream, wanted, tally)):
                msgspec.json.encode(document)
        assert tally.read == len(content)


@pytest.mark.parametrize("size", [*range(1, 700, 13), 5000])
def test_event_that_runs_over_a_stretch_is_whole(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a stretch, an event of five lines with lines of another in between."""
    monkeypatch.setattr(stretches, "STRETCH_BYTES", size)
    content = CAPTURES[0].read_bytes()[:6000].rpartition(b"\n")[0]
    with stream_of(tmp_path, content) as stream:
        found = list(read(stream, EVERYTHING, Tally()))
        tally = Tally()
        assert list(read(stream, EVERYTHING, tally)) == found
    monkeypatch.setattr(stretches, "STRETCH_BYTES", 1 << 24)
    with stream_of(tmp_path, content) as stream:
        assert found == list(read(stream, EVERYTHING, Tally()))
    assert tally.read == len(content)


def record(kind: str, body: bytes, serial: int = 1) -> bytes:
    return b"type=%s msg=audit(1795292700.000:%d): %s\n" % (kind.encode(), serial, body)


@pytest.mark.parametrize("cut", range(1, 12))
def test_events_that_share_time_and_serial_are_told_apart_in_any_stretch(
    tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two hosts in one log, and beside a record that stands alone: where one ends the other is not taken for it."""
    event = CAPTURES[0].read_bytes().splitlines(keepends=True)[:5]
    stamp = event[0].partition(b"msg=")[2].partition(b": ")[0]
    daemon = b"type=DAEMON_ROTATE msg=%s: op=rotate-logs res=success\n" % stamp
    lines = [daemon, *(b"node=a " + line for line in event), *(b"node=b " + line for line in event)]
    monkeypatch.setattr(stretches, "STRETCH_BYTES", sum(map(len, lines[:cut])))
    for wanted in (EVERYTHING, packaged().wanted):
        with stream_of(tmp_path, b"".join(lines)) as stream:
            found = [document["host"]["name"] for document in read(stream, wanted, Tally())]
        assert sorted(found) == ["a", "b"]


def test_a_line_that_is_both_too_long_and_of_no_record_counts_once(tmp_path: Path) -> None:
    with stream_of(tmp_path, b"x" * (2 << 20) + b"\n" + CAPTURES[0].read_bytes()) as stream:
        list(read(stream, packaged().wanted, tally := Tally()))
    assert tally.rejected == {"a line longer than 1 MiB": 1}


@pytest.mark.parametrize("size", [1000, 1 << 16, 1 << 24])
def test_line_of_more_than_1_mib_is_skipped_and_counted(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", size)
    capture = CAPTURES[0].read_bytes().split(b"\n")
    sequences = [int(capture[at].partition(b":")[2].partition(b")")[0]) for at in (0, 5)]
    big, long = record("EXECVE", b"a0=" + b"A" * (1 << 20)), record("EXECVE", b"a0=" + b"A" * (1 << 19), 2)
    content = b"\n".join(capture[:5]) + b"\n" + big + long + b"\n".join(capture[5:10])
    for wanted in (EVERYTHING, packaged().wanted):
        tally = Tally()
        with stream_of(tmp_path, content) as stream:
            found = [document["event"]["sequence"] for document in read(stream, wanted, tally)]
        assert found == sequences
        assert tally.rejected == {"a line longer than 1 MiB": 1}


def test_what_cannot_be_parsed_is_counted_and_kept(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.ndjson")
    tally = Tally(quarantine=quarantine)
    content = CAPTURES[0].read_bytes()[:3000] + b"\ntorn \xff line\nNov 21 20:25:00 h audit[7]: SYSCALL arch=x\n"
    with stream_of(tmp_path, content) as stream:
        list(read(stream, packaged().wanted, tally))
    quarantine.close()
    kept = [msgspec.json.decode(line) for line in quarantine.path.read_bytes().splitlines()]
    assert sum(tally.rejected.values()) == len(kept) == quarantine.kept == 2
    assert kept[0] == {"reason": REASONS["torn"], "bytes": 11, "line": "torn \\xff line"}
    assert quarantine.path.stat().st_mode & 0o777 == 0o600


def test_quarantine_is_bounded_and_follows_no_link(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.ndjson")
    for _ in range(1000):
        quarantine.keep("torn", b"A" * 100_000)
    quarantine.close()
    assert quarantine.path.stat().st_size <= QUARANTINE_BYTES and 0 < quarantine.kept < 1000
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        Quarantine(link)
    assert not (tmp_path / "elsewhere").exists()


def test_counts_of_the_assembler_reach_the_tally(tmp_path: Path) -> None:
    first, second = (b"\n".join(CAPTURES[0].read_bytes().split(b"\n")[at : at + 5]) + b"\n" for at in (0, 5))
    with stream_of(tmp_path, first + first + second[: second.index(b"type=PATH")]) as stream:
        tally = Tally()
        assert len(list(read(stream, EVERYTHING, tally))) == 2
    assert (tally.events, tally.late, tally.incomplete) == (2, 5, 1)


@pytest.mark.parametrize(
    ("content", "recognised"),
    [
        (CAPTURES[0].read_bytes()[:500], True),
        (b"node=web-1 type=SYSCALL msg=audit(1.000:1): x", True),
        (b"torn\ntype=SYSCALL msg=audit(1.000:1): x", True),
        (b"[   12.3] audit: type=1300 audit(1.000:1): x", True),
        (b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}', True),
        (b'{"a":1}\n{"_AUDIT_ID":"7"}', True),
        (b"hello", False),
        (b"", False),
        (b'{"@timestamp":"x"}', False),
        (b"type=SYSCALL msg=audit(11/21/26 20:25:00.410:7) : arch=x86_64", False),
    ],
)
def test_recognise(content: bytes, recognised: bool) -> None:
    assert auditlog.recognise(content) is recognised


def test_interpreted_text_is_refused_with_the_way_on(tmp_path: Path) -> None:
    content = b"----\ntype=SYSCALL msg=audit(11/21/26 20:25:00.410:7) : arch=x86_64 syscall=connect\n"
    with stream_of(tmp_path, content) as stream, pytest.raises(InputError) as error:
        format_of(stream)
    assert "ausearch --raw" in str(error.value)
