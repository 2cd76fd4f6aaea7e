"""The protocol of a connection, chosen by its first bytes."""

from __future__ import annotations

import pytest

from sockwarden.requests.conversation import begin
from sockwarden.requests.message import NEVER, Asked, Direction, Event, Unproven

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes.fromhex("000006 04 00 00000000 000300000064")
HEADERS = bytes.fromhex("000002 01 04 00000003 8283")
TTRPC = bytes.fromhex("00000002 00000001 01 00 0a00")
HTTP = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


class Recorder:
    """A protocol of another module: keeps how it was begun and what it was fed."""

    def __init__(self, *, at_start: bool, most_body: int, first_number: int = 0) -> None:
        self.begun = (at_start, most_body, first_number)
        self.fed: list[tuple[Direction, int, bytes]] = []
        MADE.append(self)

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        self.fed.append((direction, offset, data))
        return []

    def wanted(self, direction: Direction) -> int:
        return 77 + direction

    @property
    def whole(self) -> bool:
        return True

    def overdue(self) -> list[Event]:
        return [Unproven("it is overdue")]


MADE: list[Recorder] = []


@pytest.fixture(autouse=True)
def protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    for name in ("Http2", "Ttrpc"):
        monkeypatch.setattr(f"sockwarden.requests.conversation.{name}", type(name, (Recorder,), {}))


def chosen() -> tuple[str, tuple[bool, int, int]]:
    (one,) = MADE
    return type(one).__name__, one.begun


@pytest.mark.parametrize(
    ("first", "at_start", "protocol"),
    [
        (PREFACE + SETTINGS, True, "Http2"),
        (TTRPC, True, "Ttrpc"),
        (SETTINGS, False, "Http2"),
        (HEADERS, False, "Http2"),
        (TTRPC, False, "Ttrpc"),
    ],
)
@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_frames_are_handed_on(first: bytes, at_start: bool, protocol: str, piece: int) -> None:
    conversation = begin(at_start=at_start, most_body=9)
    base = 0 if at_start else 5000
    for start in range(0, len(first), piece):
        assert conversation.feed(Direction.RECEIVED, base + start, first[start : start + piece]) == []
    assert chosen() == (protocol, (at_start, 9, 0))
    assert MADE[0].fed[0][1] == base
    assert b"".join(data for _, _, data in MADE[0].fed) == first
    assert conversation.wanted(Direction.SENT) == 78
    assert conversation.whole
    assert conversation.overdue() == [Unproven("it is overdue")]


def test_a_preface_in_mid_stream_is_a_start() -> None:
    begin(at_start=False).feed(Direction.RECEIVED, 0, PREFACE)
    assert chosen()[1][0] is True


def test_what_a_server_sends_first_is_handed_on_first() -> None:
    conversation = begin(at_start=True, most_body=9)
    conversation.feed(Direction.SENT, 0, SETTINGS)
    assert conversation.wanted(Direction.SENT) == len(SETTINGS)
    conversation.feed(Direction.RECEIVED, 0, PREFACE)
    assert MADE[0].fed == [(Direction.SENT, 0, SETTINGS), (Direction.RECEIVED, 0, PREFACE)]


def test_text_is_http1() -> None:
    (asked,) = begin(at_start=True).feed(Direction.RECEIVED, 0, HTTP)
    assert isinstance(asked, Asked)
    assert (asked.method, asked.target, asked.headers) == ("GET", "/_ping", (("host", "d"),))


@pytest.mark.parametrize(
    ("at_start", "offset", "data", "why"),
    [
        (False, 500, HTTP, "the capture began within the connection"),
        (False, 500, b"{", "the capture began within the connection"),
        (True, 1, HTTP, "bytes of the connection were lost"),
        (True, 0, bytes(10), "its bytes are of no protocol for certain"),
        (True, 0, SETTINGS, "its bytes are of no protocol for certain"),
        (
            False,
            500,
            bytes(10),
            "the capture began within the connection, and its bytes are of no protocol for certain",
        ),
        (
            False,
            500,
            bytes.fromhex("000004 08 00 00000101 00000001"),  # a window of stream 257, or ttrpc's stream 1
            "the capture began within the connection, and its bytes are of no protocol for certain",
        ),
    ],
)
def test_anything_else_is_unproven(at_start: bool, offset: int, data: bytes, why: str) -> None:
    conversation = begin(at_start=at_start)
    assert conversation.feed(Direction.RECEIVED, offset, data) == [Unproven(why)]
    assert conversation.wanted(Direction.RECEIVED) == conversation.wanted(Direction.SENT) == NEVER
    assert conversation.feed(Direction.RECEIVED, offset + len(data), HTTP) == []
    assert not MADE


def test_a_gap_before_the_protocol_is_known() -> None:
    conversation = begin(at_start=True)
    conversation.feed(Direction.RECEIVED, 0, PREFACE[:3])
    assert conversation.wanted(Direction.RECEIVED) == 3
    assert conversation.feed(Direction.RECEIVED, 4, PREFACE[4:]) == [Unproven("bytes of the connection were lost")]


def test_grpc_of_a_docker_daemon_is_followed_in_http2() -> None:
    conversation = begin(at_start=True, most_body=9)
    ask = b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    change = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    conversation.feed(Direction.RECEIVED, 0, ask)
    before = conversation.whole
    conversation.feed(Direction.SENT, 0, change + SETTINGS)
    conversation.feed(Direction.RECEIVED, len(ask), PREFACE)
    assert chosen() == ("Http2", (True, 9, 1))
    assert (before, conversation.whole) == (False, True)
    assert MADE[0].fed == [(Direction.SENT, len(change), SETTINGS), (Direction.RECEIVED, len(ask), PREFACE)]
