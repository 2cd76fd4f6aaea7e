"""HTTP/2 connections made by hand, for what real clients seldom do."""

from __future__ import annotations

import gzip

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from sockwarden.requests.http2 import MOST_KEPT, MOST_STREAMS, Http2
from sockwarden.requests.http2_frames import PREFACE
from sockwarden.requests.http2_headers import MOST_CONTINUATIONS
from sockwarden.requests.message import MOST_ANSWER, NEVER, Answered, Asked, Direction, Event, Unproven

PATH = "/runtime.v1.RuntimeService/Exec"
Headers = list[tuple[str, str]]


class Side:
    """Writes one direction and feeds it."""

    def __init__(self, talk: Http2, direction: Direction, offset: int = 0) -> None:
        self.talk, self.direction, self.offset = talk, direction, offset
        self.encoder = Encoder()

    def raw(self, data: bytes) -> list[Event]:
        events = self.talk.feed(self.direction, self.offset, data)
        self.offset += len(data)
        return events

    def frame(self, frame: Frame, *flags: str) -> list[Event]:
        for flag in flags:
            frame.flags.add(flag)
        return self.raw(frame.serialize())

    def headers(self, stream: int, headers: Headers, *flags: str) -> list[Event]:
        return self.frame(HeadersFrame(stream, self.encoder.encode(headers)), "END_HEADERS", *flags)

    def data(self, stream: int, data: bytes, *flags: str) -> list[Event]:
        return self.frame(DataFrame(stream, data), *flags)

    def wanted(self) -> int:
        return self.talk.wanted(self.direction)


def grpc(path: str = PATH, *more: tuple[str, str]) -> Headers:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        *more,
    ]


def message(body: bytes, *, packed: bool = False) -> bytes:
    return bytes([packed]) + len(body).to_bytes(4) + body


def pair(*, most_body: int = 100, at_start: bool = True, number: int = 0) -> tuple[Side, Side]:
    talk = Http2(at_start=at_start, most_body=most_body, first_number=number)
    client, daemon = Side(talk, Direction.RECEIVED, 1000), Side(talk, Direction.SENT, 5000)
    if at_start:
        assert client.raw(PREFACE) + client.frame(SettingsFrame()) + daemon.frame(SettingsFrame()) == []
    return client, daemon


def asked(number: int = 0, body: bytes = b"", size: int | None = None, *, truncated: bool = False) -> Asked:
    headers = (("content-type", "application/grpc"),)
    return Asked(number, "grpc", PATH, "", headers, body, size, truncated)


def test_a_call_and_its_answer() -> None:
    client, daemon = pair(number=7)
    assert client.headers(1, grpc()) == []
    assert client.data(1, message(b"hello")[:7]) == []
    assert client.data(1, message(b"hello")[7:]) == [asked(7, b"hello", 5)]
    assert client.data(1, b"", "END_STREAM") == []
    assert daemon.headers(1, [(":status", "200")]) == []
    assert daemon.data(1, message(b"x" * MOST_ANSWER + b"y")) == []
    assert daemon.headers(1, [("grpc-status", "5")], "END_STREAM") == [Answered(7, 5, b"x" * MOST_ANSWER)]


def test_an_answer_of_trailers_alone_and_one_without_a_status() -> None:
    client, daemon = pair()
    client.headers(1, grpc(), "END_STREAM")
    client.headers(3, grpc(), "END_STREAM")
    assert daemon.headers(1, [(":status", "200"), ("grpc-status", "12")], "END_STREAM") == [Answered(0, 12)]
    assert daemon.headers(3, [(":status", "200"), ("grpc-status", "x")], "END_STREAM") == [Answered(1, None)]


def test_what_is_not_grpc() -> None:
    client, daemon = pair()
    assert client.headers(1, [(":method", "PUT"), (":path", "/a?b"), ("host", "h")]) == []
    assert client.data(1, b"body") == []
    told = Asked(0, "h2", "PUT", "/a?b", (("host", "h"),), b"body", 4)
    assert client.data(1, b"", "END_STREAM") == [told]
    assert daemon.headers(1, [(":status", "100")]) == []
    assert daemon.headers(1, [(":status", "404")]) == []
    assert daemon.data(1, b"none", "END_STREAM") == [Answered(0, 404, b"none")]


def test_a_path_without_its_slash_is_a_method_to_go() -> None:
    client, _ = pair()
    assert client.headers(1, grpc(PATH[1:]), "END_STREAM") == [asked(size=0)]


def test_any_of_several_types_makes_it_grpc() -> None:
    client, _ = pair()
    [event] = client.headers(1, grpc(PATH, ("content-type", "text/plain")), "END_STREAM")
    assert isinstance(event, Asked)
    assert event.method == PATH


def test_padding_that_was_skipped_is_not_looked_at() -> None:
    client, _ = pair()
    client.headers(1, grpc())
    client.data(1, message(b"x"))
    head = DataFrame(1, bytes(90), pad_length=9)
    head.flags.add("PADDED")
    data = head.serialize()
    client.raw(data[:9])
    client.offset += 50
    assert client.raw(b"\xff" * (len(data) - 59)) == []
    assert client.headers(3, grpc(), "END_STREAM") == [asked(1, size=0)]


def test_each_byte_alone() -> None:
    client, _ = pair(at_start=False)
    client.talk = Http2(at_start=True, most_body=100)
    block = client.encoder.encode(grpc())
    written = [HeadersFrame(1, block[:9]), ContinuationFrame(1, block[9:]), DataFrame(1, message(b"hi"))]
    written[1].flags.add("END_HEADERS")
    data = PREFACE + b"".join(frame.serialize() for frame in written)
    assert [event for byte in data for event in client.raw(bytes([byte]))] == [asked(0, b"hi", 2)]


def test_padding_and_priority() -> None:
    client, _ = pair()
    frame = HeadersFrame(1, client.encoder.encode(grpc()), pad_length=9, depends_on=3, stream_weight=9)
    assert client.frame(frame, "END_HEADERS", "PADDED", "PRIORITY") == []
    assert client.frame(DataFrame(1, message(b"abc")[:6], pad_length=200), "PADDED") == []
    assert client.frame(DataFrame(1, message(b"abc")[6:], pad_length=0), "PADDED") == [asked(0, b"abc", 3)]


def test_streams_that_interleave() -> None:
    client, daemon = pair()
    client.headers(1, grpc())
    client.headers(3, grpc())
    assert client.data(3, message(b"three")) == [asked(1, b"three", 5)]
    assert client.data(1, message(b"one")) == [asked(0, b"one", 3)]
    assert daemon.headers(3, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == [Answered(1, 0)]


@pytest.mark.parametrize("side", [0, 1])
def test_a_reset_ends_both(side: int) -> None:
    sides = pair()
    sides[0].headers(1, grpc())
    assert sides[side].frame(RstStreamFrame(1, 8)) == [asked(truncated=True), Answered(0, None)]
    assert sides[side].frame(RstStreamFrame(1, 8)) == []


def test_an_answer_that_begins_first_tells_of_the_request_as_it_is() -> None:
    client, daemon = pair()
    client.headers(1, grpc())
    client.data(1, message(b"hello")[:8])
    assert daemon.headers(1, [(":status", "200")]) == [asked(0, b"hel", 5, truncated=True)]
    assert client.data(1, message(b"hello")[8:]) == []


def test_overdue() -> None:
    client, daemon = pair()
    client.headers(1, grpc())
    assert client.talk.overdue() == [asked(truncated=True)]
    assert client.talk.overdue() == []
    assert daemon.headers(1, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == [Answered(0, 0)]


@pytest.mark.parametrize(
    ("packed", "coding", "body", "size", "truncated"),
    [
        (gzip.compress(b"hello"), "gzip", b"hello", 5, False),
        (gzip.compress(b"x" * 1000), "gzip", b"x" * 100, None, True),
        (gzip.compress(b"hello") + gzip.compress(b"more"), "gzip", b"hello", None, True),
        (gzip.compress(b"hello")[:-8], "gzip", b"hello", None, True),
        (b"\x1f\x8bnothing", "gzip", b"", None, True),
        (gzip.compress(b"hello"), "zstd", b"", None, True),
    ],
    ids=["whole", "bomb", "members", "cut", "garbage", "coding"],
)
def test_compressed_messages(packed: bytes, coding: str, body: bytes, size: int | None, truncated: bool) -> None:
    client, _ = pair()
    client.headers(1, grpc(PATH, ("grpc-encoding", coding)))
    [event] = client.data(1, message(packed, packed=True))
    assert isinstance(event, Asked)
    assert (event.body, event.size, event.truncated) == (body, size, truncated)


def test_a_long_upload_costs_the_heads_of_its_frames() -> None:
    client, daemon = pair()
    client.headers(1, grpc())
    size = 1 << 20
    begin = b"\0" + (1 << 30).to_bytes(4) + bytes(200)
    told: list[Event] = []
    for _ in range(1024):
        frame = DataFrame(1, b"").serialize()
        head = size.to_bytes(3) + frame[3:]
        end = client.offset + len(head) + size
        told += client.raw(head + (b"" if told else begin))
        assert client.wanted() == end
        client.offset = end
    assert told == [asked(0, bytes(100), 1 << 30, truncated=True)]
    assert client.headers(3, grpc(), "END_STREAM") == [asked(1, size=0)]
    assert daemon.headers(1, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == [Answered(0, 0)]


def test_a_long_answer_costs_its_first_bytes() -> None:
    client, daemon = pair()
    client.headers(1, grpc(), "END_STREAM")
    daemon.headers(1, [(":status", "200")])
    daemon.raw((1 << 20).to_bytes(3) + DataFrame(1, b"").serialize()[3:] + message(bytes(1 << 20))[: MOST_ANSWER + 5])
    assert daemon.wanted() == daemon.offset + (1 << 20) - MOST_ANSWER - 5
    daemon.offset = daemon.wanted()
    assert daemon.headers(1, [("grpc-status", "0")], "END_STREAM") == [Answered(0, 0, bytes(MOST_ANSWER))]


def test_a_gap_in_what_is_asked() -> None:
    client, daemon = pair()
    client.headers(1, grpc())
    client.offset += 1
    assert client.frame(PingFrame(0)) == [asked(truncated=True), Unproven("bytes of the connection were lost")]
    assert client.wanted() == NEVER
    assert client.headers(3, grpc(), "END_STREAM") == []
    assert daemon.headers(1, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == [Answered(0, 0)]


def test_a_gap_one_byte_beyond_what_was_skipped() -> None:
    client, _ = pair()
    client.raw((8).to_bytes(3) + PingFrame(0).serialize()[3:9])
    client.offset = client.wanted() + 1
    assert client.frame(PingFrame(0)) == [Unproven("bytes of the connection were lost")]


def test_a_gap_in_the_answers() -> None:
    client, daemon = pair()
    client.headers(1, grpc(), "END_STREAM")
    daemon.offset += 1
    assert daemon.frame(PingFrame(0)) == [Answered(0, None)]
    assert daemon.wanted() == NEVER
    assert client.headers(3, grpc(), "END_STREAM") == [asked(1, size=0), Answered(1, None)]
    assert client.headers(5, grpc()) == []
    assert client.talk.overdue() == [asked(2, truncated=True), Answered(2, None)]


def flood(client: Side) -> list[Event]:
    client.frame(HeadersFrame(1, b""))
    return [event for _ in range(MOST_CONTINUATIONS) for event in client.frame(ContinuationFrame(1, b""))]


@pytest.mark.parametrize(
    "written",
    [
        flood,
        lambda client: client.headers(1, [("x", "y" * 4000)] * 100),
        lambda client: client.frame(HeadersFrame(1, b"\xff\xff\xff\xff\xff"), "END_HEADERS"),
        lambda client: client.frame(HeadersFrame(1, bytes(70_000)), "END_HEADERS"),
        lambda client: client.frame(HeadersFrame(2, b"\x83"), "END_HEADERS"),
        lambda client: client.frame(ContinuationFrame(1, b"")),
        lambda client: client.frame(HeadersFrame(1, b"")) + client.data(1, b""),
        lambda client: client.frame(HeadersFrame(1, b"")) + client.frame(HeadersFrame(1, b"")),
        lambda client: client.headers(1, grpc()) + client.raw(b"\0\0\1\0\x08\0\0\0\1\x05"),
        lambda client: client.raw(b"\0\0\0\0\0\0\0\0\0"),
        lambda client: client.raw(b"\0\0\3\3\0\0\0\0\1abc"),
    ],
    ids=["flood", "bomb", "index", "long", "even", "stray", "data", "twice", "padding", "stream", "reset"],
)
def test_what_no_client_sends_is_unproven(written: object) -> None:
    assert callable(written)
    client, _ = pair()
    events = written(client)
    assert [type(event) for event in events][-1:] == [Unproven]
    assert client.wanted() == NEVER


def test_another_protocol() -> None:
    talk = Http2(at_start=True, most_body=100)
    assert talk.feed(Direction.RECEIVED, 0, b"PRI") == []
    assert talk.feed(Direction.RECEIVED, 3, b" * HTTP/1.1") == [Unproven("it does not begin as HTTP/2 does")]


def test_streams_are_bounded() -> None:
    client, daemon = pair()
    for number in range(MOST_STREAMS):
        assert client.headers(2 * number + 1, grpc()) == []
    assert client.headers(2 * MOST_STREAMS + 1, grpc()) == [asked(truncated=True), Answered(0, None)]
    assert daemon.headers(1, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == []


def test_bytes_are_bounded() -> None:
    client, _ = pair(most_body=60_000)
    events: list[Event] = []
    for number in range(20):
        events += client.headers(2 * number + 1, grpc())
        events += client.data(2 * number + 1, message(bytes(60_001))[:50_000])
    given_up = [event for event in events if isinstance(event, Asked)]
    assert all(event.truncated for event in given_up)
    assert 20 - len(given_up) <= (MOST_KEPT + 120_000) / 49_000 < 20


def test_the_table_is_resized() -> None:
    client, _ = pair()
    client.headers(1, grpc(), "END_STREAM")
    client.encoder.header_table_size = 0
    client.encoder.header_table_size = 200
    assert client.headers(3, grpc(), "END_STREAM") == [asked(1, size=0)]
    assert client.headers(5, grpc(), "END_STREAM") == [asked(2, size=0)]


def late() -> tuple[Side, Side]:
    """A capture behind a call whose path and type are in the client's table."""
    client, daemon = pair(at_start=False)
    client.encoder.encode(grpc())
    return client, daemon


def test_a_late_capture_says_that_it_does_not_know_a_method() -> None:
    client, daemon = late()
    assert client.headers(3, grpc(), "END_STREAM") == [Asked(0, "grpc", "", size=0)]
    [event] = client.headers(5, grpc("/a.B/C"), "END_STREAM")
    assert isinstance(event, Asked)
    assert event.method == "/a.B/C"
    assert client.headers(7, grpc("/a.B/C"), "END_STREAM") == [Asked(2, "grpc", "/a.B/C", size=0)]
    assert daemon.headers(5, [(":status", "200"), ("grpc-status", "3")], "END_STREAM") == [Answered(1, 3)]


def test_a_late_capture_tells_once_of_a_request_that_began_before() -> None:
    client, daemon = late()
    assert client.data(9, b"rest") == [Asked(0, "grpc", "", truncated=True)]
    assert client.data(9, b"rest", "END_STREAM") == []
    assert daemon.headers(9, [(":status", "200"), ("grpc-status", "0")], "END_STREAM") == [Answered(0, 0)]
    assert client.data(9, b"rest") == []


def test_a_late_capture_without_a_boundary() -> None:
    client, daemon = late()
    events = [event for _ in range(9) for event in client.raw(b"no frame begins here")]
    assert events == [Unproven("the capture began within the connection")]
    assert client.wanted() == NEVER
    assert [event for _ in range(9) for event in daemon.raw(b"nor here, at all")] == []
    assert daemon.wanted() == NEVER


def test_a_late_capture_finds_a_boundary_at_a_later_read() -> None:
    client, _ = late()
    assert client.raw(b"the end of something") == []
    client.offset += 5
    assert client.headers(3, grpc("/a.B/C"), "END_STREAM") == [Asked(0, "grpc", "/a.B/C", size=0)]
