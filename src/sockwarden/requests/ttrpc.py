"""A connection of ttrpc, containerd's small gRPC: messages with a head of ten bytes (length, stream, type, flags)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from sockwarden.requests import protobuf
from sockwarden.requests.message import MOST_ANSWER, NEVER, Answered, Asked, Direction, Event, Unproven
from sockwarden.requests.stretch import BEGAN_WITHIN, MOST_PIECES, LostError, Stretch

MOST_STREAMS = 1000
"""Requests whose answers are waited for at once; the oldest is given up for a new one."""
MOST_MESSAGE = 4 << 20
"""ttrpc refuses longer messages, and reads on behind them."""

_HEAD = struct.Struct(">IIBB")
_REQUEST, _RESPONSE, _DATA = 1, 2, 3
_MOST_FLAGS = 7
_MOST_STREAM = 1 << 24
_ENVELOPE = 4 << 10
"""Bytes that may stand around a payload: names, metadata, a status."""


class _Message(msgspec.Struct, frozen=True):
    """kept: its first bytes; size: how many there are."""

    stream: int
    kept: bytes
    size: int


class _Messages:
    """Cuts one direction into messages and keeps the first bytes of those of a kind."""

    def __init__(self, kind: int, most: int, *, seek: bool) -> None:
        self._stretch = Stretch()
        self._kind, self._most = kind, most
        self._seeks = MOST_PIECES if seek else 0
        self._head = bytearray()
        self._kept = bytearray()
        self._stream: int | None = None
        self._size = 0
        self._need = 0
        self._end = 0

    @property
    def wanted(self) -> int:
        return self._stretch.wanted

    def give_up(self) -> Iterator[_Message]:
        """A message of the kind whose bytes have not all come, if there is one. Nothing more of it is wanted."""
        if self._stream is not None and len(self._kept) < self._need:
            yield self._message(self._stream)

    def feed(self, offset: int, data: bytes) -> Iterator[_Message]:
        """Messages of the kind, as soon as nothing more of them is wanted. LostError: see Stretch."""
        if self._seeks:
            if not _plausible(data, self._kind):
                self._seeks -= 1
                if not self._seeks:
                    raise LostError(BEGAN_WITHIN)
                return
            self._seeks = 0
        view = self._stretch.place(offset, data)
        while True:
            if self._stream is None:
                piece = view[: _HEAD.size - len(self._head)]
                self._head += piece
                view = view[len(piece) :]
                self._stretch.at += len(piece)
                if len(self._head) < _HEAD.size:
                    return
                yield from self._begin()
            piece = view[: self._end - self._stretch.at]
            view = view[len(piece) :]
            self._stretch.at += len(piece)
            if self._stream is not None and len(self._kept) < self._need:
                self._kept += piece[: self._need - len(self._kept)]
                if len(self._kept) == self._need:
                    yield self._message(self._stream)
            if self._stretch.at < self._end:
                return
            self._stream = None

    def _begin(self) -> Iterator[_Message]:
        self._size, self._stream, kind, _ = _HEAD.unpack(self._head)
        self._head.clear()
        self._kept.clear()
        self._end = self._stretch.at + self._size
        self._need = min(self._size, self._most) if kind == self._kind and self._size <= MOST_MESSAGE else 0
        if not self._need:
            self._stretch.until = self._end
            if kind == self._kind:
                yield _Message(self._stream, b"", self._size)

    def _message(self, stream: int) -> _Message:
        message = _Message(stream, bytes(self._kept), self._size)
        self._kept.clear()
        self._need = 0
        self._stretch.until = self._end
        return message


def _plausible(data: bytes, kind: int) -> bool:
    """Whether messages begin where bytes begin that were read at once: each head in them has to be one."""
    at = 0
    while at == 0 or at + _HEAD.size <= len(data):
        if len(data) < _HEAD.size:
            return False
        size, stream, this, flags = _HEAD.unpack_from(data, at)
        if size > MOST_MESSAGE or stream > _MOST_STREAM or stream % 2 == 0 or flags > _MOST_FLAGS:
            return False
        if this not in (kind, _DATA):
            return False
        at += _HEAD.size + size
    return True


class Ttrpc:
    """A Conversation. at_start: its first bytes are the connection's; else they may lie within a message."""

    def __init__(self, *, at_start: bool, most_body: int, first_number: int = 0) -> None:
        self._most_body = most_body
        self._number = first_number
        self._messages: dict[Direction, _Messages | None] = {
            Direction.RECEIVED: _Messages(_REQUEST, most_body + _ENVELOPE, seek=not at_start),
            Direction.SENT: _Messages(_RESPONSE, MOST_ANSWER + _ENVELOPE, seek=not at_start),
        }
        self._waiting: dict[int, int] = {}

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        messages = self._messages[direction]
        if messages is None:
            return []
        events: list[Event] = []
        try:
            for message in messages.feed(offset, data):
                events += self._asked(message) if direction == Direction.RECEIVED else self._answered(message)
        except LostError as error:
            if direction == Direction.RECEIVED:
                events += [*self.overdue(), Unproven(str(error))]
            self._messages[direction] = None
            if direction == Direction.SENT:
                events += [Answered(number, None) for number in self._waiting.values()]
                self._waiting.clear()
        return events

    def wanted(self, direction: Direction) -> int:
        messages = self._messages[direction]
        return NEVER if messages is None else messages.wanted

    @property
    def whole(self) -> bool:
        return True

    def overdue(self) -> list[Event]:
        received = self._messages[Direction.RECEIVED]
        return [event for message in (received.give_up() if received else ()) for event in self._asked(message)]

    def _asked(self, message: _Message) -> Iterator[Event]:
        number = self._number
        self._number += 1
        yield _request(number, message, self._most_body)
        if self._messages[Direction.SENT] is None:
            yield Answered(number, None)
            return
        given_up = self._waiting.pop(message.stream, None)
        if given_up is None and len(self._waiting) == MOST_STREAMS:
            given_up = self._waiting.pop(next(iter(self._waiting)))
        self._waiting[message.stream] = number
        if given_up is not None:
            yield Answered(given_up, None)

    def _answered(self, message: _Message) -> Iterator[Event]:
        number = self._waiting.pop(message.stream, None)
        if number is not None:
            yield _response(number, message)


def _request(number: int, message: _Message, most_body: int) -> Asked:
    """By ttrpc's Request: service 1, method 2, payload 3, metadata 5. In a part of one nothing is sure: a name may
    come again behind it, and the last one counts.
    """
    fields = protobuf.read(message.kept)
    if not fields.whole or len(message.kept) < message.size:
        return Asked(number, "ttrpc", "", truncated=True)
    service, method, payload = (fields.values.get(field, [b""])[-1] for field in (1, 2, 3))
    name = f"/{_text(service)}/{_text(method)}" if service or method else ""
    headers = tuple(_header(pair) for pair in fields.values.get(5, []))
    body = payload[:most_body]
    return Asked(number, "ttrpc", name, "", headers, body, len(payload), len(body) < len(payload))


def _response(number: int, message: _Message) -> Answered:
    """By ttrpc's Response: status 1 (its code 1), none for success; payload 2."""
    fields = protobuf.read(message.kept)
    payloads = [*fields.values.get(2, []), *([fields.cut[1]] if fields.cut and fields.cut[0] == 2 else [])]
    codes = protobuf.read(b"".join(fields.values.get(1, []))).numbers.get(1, [0])
    known = fields.whole or payloads or 1 in fields.values
    return Answered(number, codes[-1] if known else None, payloads[-1][:MOST_ANSWER] if payloads else b"")


def _header(pair: bytes) -> tuple[str, str]:
    values = protobuf.read(pair).values
    name, value = (_text(values.get(field, [b""])[-1]) for field in (1, 2))
    return name.lower(), value


def _text(value: bytes) -> str:
    return value.decode("latin-1")
