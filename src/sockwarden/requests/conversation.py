"""Which protocol a connection speaks, by the first bytes that the daemon receives."""

from __future__ import annotations

from functools import partial

from sockwarden.requests.http1.connection import Http1
from sockwarden.requests.http2 import Http2
from sockwarden.requests.message import MOST_BODY, NEVER, Conversation, Direction, Event, Unproven
from sockwarden.requests.ttrpc import Ttrpc

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client of HTTP/2 sends first (RFC 9113, 3.4)."""
_TTRPC_HEADER = 10
_TTRPC_LONGEST = 4 << 20
_TTRPC_REQUEST = 1
_TTRPC_MOST_STREAMS = 1 << 24
"""Calls of one connection, two to each: more than that is some other protocol's header."""
_H2_HEADER = 9
_H2_LONGEST = 16384
_H2_LENGTHS = {0: None, 1: None, 2: 5, 3: 4, 4: None, 6: 8, 8: 4, 9: None}
"""Length of each type of frame that a client sends, None where it differs (RFC 9113, 6)."""
_H2_OF_CONNECTION = {4: True, 6: True, 8: None}
"""Whether a type of frame belongs to the connection instead of a stream; None for either."""
_MOST_HELD = 16 << 10


def begin(*, at_start: bool, most_body: int = MOST_BODY) -> Conversation:
    """A conversation whose protocol its first bytes will say.

    at_start   the first byte fed is the connection's first, at offset 0. Otherwise only a protocol whose frames can be
               told in mid-stream is followed, and HTTP/1.x is not.
    most_body  bytes of each request's body to keep
    """
    return _Opening(at_start, most_body)


class _Opening:
    """Holds what comes until the protocol is known, then hands everything on."""

    def __init__(self, at_start: bool, most_body: int) -> None:
        self._at_start = at_start
        self._most_body = most_body
        self._chosen: Conversation | None = None
        self._over = False
        self._first = 0
        self._received = bytearray()
        self._sent: list[tuple[int, bytes]] = []

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        if self._chosen is not None:
            return self._chosen.feed(direction, offset, data)
        if self._over or not data:
            return []
        if direction is Direction.SENT:
            if sum(len(piece) for _, piece in self._sent) + len(data) <= _MOST_HELD:
                self._sent.append((offset, data))
            return []
        if not self._received:
            self._first = offset
        elif offset > self._first + len(self._received):
            return self._unproven("bytes of the connection were lost")
        self._received += data[max(0, self._first + len(self._received) - offset) :]
        if self._at_start and self._first:
            return self._unproven("bytes of the connection were lost")
        return self._choose(bytes(self._received))

    def wanted(self, direction: Direction) -> int:
        if self._chosen is not None:
            return self._chosen.wanted(direction)
        if self._over:
            return NEVER
        if direction is Direction.RECEIVED:
            return self._first + len(self._received)
        return self._sent[-1][0] + len(self._sent[-1][1]) if self._sent else 0

    @property
    def whole(self) -> bool:
        return self._chosen is not None and self._chosen.whole

    def overdue(self) -> list[Event]:
        return self._chosen.overdue() if self._chosen is not None else []

    def _choose(self, data: bytes) -> list[Event]:
        most = self._most_body
        if _PREFACE.startswith(data[: len(_PREFACE)]):
            return self._hand_on(Http2(at_start=True, most_body=most)) if len(data) >= len(_PREFACE) else []
        if data[0] and self._at_start:
            return self._hand_on(Http1(most_body=most, upgraded=partial(_upgraded, most)))
        if data[0]:
            return self._unproven("the capture began within the connection")
        if len(data) < _TTRPC_HEADER:
            return []
        ttrpc, http2 = _is_ttrpc(data), not self._at_start and _is_http2(data)
        if ttrpc and not http2:
            return self._hand_on(Ttrpc(at_start=self._at_start, most_body=most))
        if http2 and not ttrpc:
            return self._hand_on(Http2(at_start=False, most_body=most))
        began = "" if self._at_start else "the capture began within the connection, and "
        return self._unproven(f"{began}its bytes are of no protocol for certain")

    def _hand_on(self, chosen: Conversation) -> list[Event]:
        self._chosen = chosen
        events: list[Event] = []
        for offset, data in self._sent:
            events += chosen.feed(Direction.SENT, offset, data)
        events += chosen.feed(Direction.RECEIVED, self._first, bytes(self._received))
        self._received.clear()
        self._sent.clear()
        return events

    def _unproven(self, why: str) -> list[Event]:
        self._over = True
        self._received.clear()
        self._sent.clear()
        return [Unproven(why)]


def _upgraded(most_body: int, first_number: int) -> Conversation:
    return Http2(at_start=True, most_body=most_body, first_number=first_number)


def _is_ttrpc(data: bytes) -> bool:
    """Whether a header of ttrpc's begins here: length, stream, type, flags; a client's streams have odd numbers."""
    length, stream = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    return length <= _TTRPC_LONGEST and stream % 2 == 1 and stream < _TTRPC_MOST_STREAMS and data[8] == _TTRPC_REQUEST


def _is_http2(data: bytes) -> bool:
    """Whether a frame of a client's begins here, as strict as its nine bytes allow."""
    length, kind, stream = int.from_bytes(data[:3], "big"), data[3], int.from_bytes(data[5:_H2_HEADER], "big")
    if kind not in _H2_LENGTHS or length > _H2_LONGEST or stream >> 31:
        return False
    if _H2_LENGTHS[kind] not in (None, length) or (kind == 4 and length % 6):
        return False
    of_connection = _H2_OF_CONNECTION.get(kind, False)
    return (
        (stream == 0 or stream % 2 == 1)
        if of_connection is None
        else (stream == 0) is of_connection and (stream == 0 or stream % 2 == 1)
    )
