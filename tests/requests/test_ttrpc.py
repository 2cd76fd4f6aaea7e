"""ttrpc connections made by hand, for what real clients seldom do; test_recordings.py has a real one."""

from __future__ import annotations

import struct

import pytest

from sockwarden.requests.message import MOST_ANSWER, NEVER, Answered, Asked, Direction, Event, Unproven
from sockwarden.requests.ttrpc import MOST_MESSAGE, MOST_STREAMS, Ttrpc

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


def value(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    size = len(data)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    return bytes([number << 3 | 2]) + length + data


def head(size: int, stream: int, kind: int) -> bytes:
    return struct.pack(">IIBB", size, stream, kind, 0)


def packet(stream: int, kind: int, body: bytes) -> bytes:
    return head(len(body), stream, kind) + body


def request(stream: int, payload: bytes = b"", method: bytes = b"State") -> bytes:
    return packet(stream, 1, value(1, b"a.Task") + value(2, method) + value(3, payload))


def response(stream: int, body: bytes) -> bytes:
    return packet(stream, 2, body)


def asked(number: int, body: bytes = b"", size: int | None = None, *, truncated: bool = False) -> Asked:
    return Asked(number, "ttrpc", "/a.Task/State", "", (), body, len(body) if size is None else size, truncated)


def unknown(number: int) -> Asked:
    return Asked(number, "ttrpc", "", truncated=True)


class Talk:
    def __init__(self, *, at_start: bool = True, most_body: int = 100) -> None:
        self.talk = Ttrpc(at_start=at_start, most_body=most_body, first_number=5)
        self.offsets = {SENT: 70, RECEIVED: 30}

    def feed(self, direction: Direction, data: bytes) -> list[Event]:
        events = self.talk.feed(direction, self.offsets[direction], data)
        self.offsets[direction] += len(data)
        return events


def test_calls_and_answers() -> None:
    talk = Talk()
    assert talk.feed(RECEIVED, request(1, b"x") + request(3)) == [asked(5, b"x"), asked(6)]
    assert talk.feed(SENT, response(3, value(1, b"\x08\x05") + value(2, b""))) == [Answered(6, 5)]
    assert talk.feed(SENT, packet(1, 3, b"streamed") + response(1, value(2, b"y"))) == [Answered(5, 0, b"y")]
    assert talk.feed(SENT, response(1, b"")) == []


def test_metadata_is_headers() -> None:
    talk = Talk()
    data = value(1, b"a.Task") + value(2, b"State") + value(5, value(1, b"Name") + value(2, b"v"))
    [event] = talk.feed(RECEIVED, packet(1, 1, data))
    assert isinstance(event, Asked)
    assert event.headers == (("name", "v"),)


def test_a_payload_longer_than_what_is_kept() -> None:
    talk = Talk()
    assert talk.feed(RECEIVED, request(1, b"z" * 1000)) == [asked(5, b"z" * 100, 1000, truncated=True)]


def test_a_name_may_come_again_behind_what_is_kept() -> None:
    talk = Talk()
    data = request(1, b"z" * 9000)[10:] + value(2, b"Exec")
    assert talk.feed(RECEIVED, packet(1, 1, data)[:6000]) == [unknown(5)]
    talk.offsets[RECEIVED] = talk.talk.wanted(RECEIVED)
    assert talk.offsets[RECEIVED] == 30 + 10 + len(data)
    assert talk.feed(RECEIVED, request(3)) == [asked(6)]


def test_a_message_too_long_for_ttrpc_is_read_over() -> None:
    talk = Talk()
    assert talk.feed(RECEIVED, head(MOST_MESSAGE + 1, 1, 1)) == [unknown(5)]
    talk.offsets[RECEIVED] += MOST_MESSAGE + 1
    assert talk.feed(RECEIVED, request(3)) == [asked(6)]


def test_what_is_no_request() -> None:
    talk = Talk()
    assert talk.feed(RECEIVED, packet(1, 2, b"abc") + packet(1, 3, b"abc") + packet(1, 9, b"abc")) == []
    assert talk.feed(RECEIVED, packet(1, 1, b"\xff" * 20)) == [unknown(5)]


def test_a_long_answer() -> None:
    talk = Talk()
    talk.feed(RECEIVED, request(1))
    answer = response(1, value(2, b"y" * 20_000))
    assert talk.feed(SENT, answer[:9000]) == [Answered(5, 0, b"y" * MOST_ANSWER)]
    assert talk.talk.wanted(SENT) == 70 + len(answer)


def test_a_gap_in_what_is_asked() -> None:
    talk = Talk()
    talk.feed(RECEIVED, request(1)[:12])
    talk.offsets[RECEIVED] += 1
    lost = Unproven("bytes of the connection were lost")
    assert talk.feed(RECEIVED, b"x") == [unknown(5), lost]
    assert talk.talk.wanted(RECEIVED) == NEVER
    assert talk.feed(RECEIVED, request(3)) == []
    assert talk.feed(SENT, response(1, b"")) == [Answered(5, 0)]


def test_a_gap_in_the_answers() -> None:
    talk = Talk()
    talk.feed(SENT, b"\0")
    talk.feed(RECEIVED, request(1))
    talk.offsets[SENT] += 1
    assert talk.feed(SENT, b"x") == [Answered(5, None)]
    assert talk.talk.wanted(SENT) == NEVER
    assert talk.feed(RECEIVED, request(3)) == [asked(6), Answered(6, None)]


def test_overdue() -> None:
    talk = Talk()
    talk.feed(RECEIVED, request(1, b"abc")[:-1])
    assert talk.talk.overdue() == [unknown(5)]
    assert talk.talk.overdue() == []
    assert talk.feed(RECEIVED, b"c" + request(3)) == [asked(6)]


def test_streams_are_bounded() -> None:
    talk = Talk()
    for number in range(MOST_STREAMS):
        assert talk.feed(RECEIVED, request(2 * number + 1)) == [asked(5 + number)]
    last = asked(5 + MOST_STREAMS)
    assert talk.feed(RECEIVED, request(2 * MOST_STREAMS + 1)) == [last, Answered(5, None)]
    again = asked(6 + MOST_STREAMS)
    assert talk.feed(RECEIVED, request(2 * MOST_STREAMS + 1)) == [again, Answered(5 + MOST_STREAMS, None)]


@pytest.mark.parametrize("before", [b"", b"the end of something", request(1)[:9], request(2)])
def test_a_late_capture(before: bytes) -> None:
    talk = Talk(at_start=False)
    assert talk.feed(RECEIVED, before) == []
    assert talk.feed(RECEIVED, request(3)) == [asked(5)]


def test_a_late_capture_without_a_boundary() -> None:
    talk = Talk(at_start=False)
    events = [event for _ in range(9) for event in talk.feed(RECEIVED, b"no message begins")]
    assert events == [Unproven("the capture began within the connection")]
