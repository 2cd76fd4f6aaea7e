"""A connection of HTTP/2 (RFC 9113), and of gRPC over it: what was asked on each stream, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hyperframe.frame import Frame, RstStreamFrame

from sockwarden.requests.http2_body import Body
from sockwarden.requests.http2_frames import Data, Frames
from sockwarden.requests.http2_headers import Block, HeaderBlocks
from sockwarden.requests.message import MOST_ANSWER, NEVER, Answered, Asked, Direction, Event, Unproven
from sockwarden.requests.stretch import LostError

MOST_STREAMS = 1000
"""Streams that are looked after at once; the oldest is given up for a new one."""
MOST_KEPT = 256 << 10
"""Bytes of headers and bodies that are kept of all streams, and twice the most of one body."""

_STATUS = re.compile(r"[0-9]{1,9}")
_CODING = "grpc-encoding"


class _Stream:
    """A request that began. cost: bytes that are kept of it."""

    def __init__(self, number: int, block: Block | None, most_body: int) -> None:
        self.number = number
        self.path = (block.get(":path") if block else None) or ""
        self.method = (block.get(":method") if block else None) or ""
        self.headers = tuple(header for header in block.headers if header[0][:1] != ":") if block else ()
        self.grpc = block is None or _is_grpc(block, self.method)
        self.body = Body(most_body, framed=self.grpc, encoding=(block.get(_CODING) if block else None) or "")
        self.asked = False
        self.status: int | None = None
        self.answer: Body | None = None
        self.cost = sum(len(name) + len(value) for name, value in self.headers) + len(self.path)

    def ask(self, *, ended: bool) -> Asked:
        """The request as it is; from then on nothing of it is kept."""
        headers, content = self.headers, self.body.content(ended=ended)
        self.asked = True
        self.headers, self.body = (), Body(0, framed=False)
        if not self.grpc:
            names = ("h2", self.method, self.path)
        else:
            # Go's gRPC server takes a path without its slash as well.
            names = ("grpc", f"/{self.path.removeprefix('/')}" if self.path else "", "")
        return Asked(self.number, *names, headers, content.body, content.size, content.truncated)

    def respond(self, block: Block) -> None:
        """Takes a header block of the answer, which may be its trailer."""
        text = block.get("grpc-status" if self.grpc else ":status")
        if text is not None and _STATUS.fullmatch(text):
            self.status = int(text)
        if self.answer is None:
            self.answer = Body(MOST_ANSWER, framed=self.grpc, encoding=block.get(_CODING) or "")

    def answered(self) -> Answered:
        return Answered(self.number, self.status, self.answer.content(ended=True).body if self.answer else b"")


def _is_grpc(block: Block, method: str) -> bool:
    """By the content's type, of which Go takes any; where that is unknown, whatever may be gRPC is."""
    kinds = [value for name, value in block.headers if name == "content-type"]
    return any(kind.startswith("application/grpc") for kind in kinds) or (
        not kinds and block.unknown and method in ("", "POST")
    )


class Http2:
    """A Conversation. at_start: its first bytes are the connection's; else they may lie within a frame."""

    def __init__(self, *, at_start: bool, most_body: int, first_number: int = 0) -> None:
        self._most_body = most_body
        self._number = first_number
        self._late = not at_start
        self._frames: dict[Direction, Frames | None] = {
            Direction.RECEIVED: Frames(preface=at_start, seek=self._late),
            Direction.SENT: Frames(seek=self._late),
        }
        self._blocks = {direction: HeaderBlocks(late=self._late) for direction in Direction}
        self._streams: dict[int, _Stream] = {}
        self._kept = 0
        self._highest = 0
        self._first: int | None = None
        self._earlier: set[int] = set()

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        frames = self._frames[direction]
        if frames is None:
            return []
        events: list[Event] = []
        try:
            for found in frames.feed(offset, data):
                if isinstance(found, Data):
                    events += self._data(direction, found, frames)
                else:
                    events += self._frame(direction, found)
        except LostError as error:
            self._frames[direction] = None
            if direction == Direction.RECEIVED:
                events += [*self.overdue(), Unproven(str(error))]
            else:
                events += self._unanswered()
        return events

    def wanted(self, direction: Direction) -> int:
        frames = self._frames[direction]
        return NEVER if frames is None else frames.wanted

    @property
    def whole(self) -> bool:
        return True

    def overdue(self) -> list[Event]:
        waiting = [stream for stream in self._streams.values() if not stream.asked]
        events: list[Event] = [self._ask(stream, ended=False) for stream in waiting]
        return events if self._frames[Direction.SENT] else [*events, *self._unanswered()]

    def _frame(self, direction: Direction, frame: Frame) -> Iterator[Event]:
        if isinstance(frame, RstStreamFrame):
            if stream := self._streams.get(frame.stream_id):
                yield from self._close(frame.stream_id, stream)
        elif block := self._blocks[direction].take(frame):
            yield from self._received(block) if direction == Direction.RECEIVED else self._sent(block)

    def _data(self, direction: Direction, data: Data, frames: Frames) -> Iterator[Event]:
        if self._blocks[direction].open:
            raise LostError("a header block was not ended")
        if direction == Direction.RECEIVED:
            yield from self._began_earlier(data.stream)
        stream = self._streams.get(data.stream)
        body = None
        if stream is not None:
            body = stream.answer if direction == Direction.SENT else None if stream.asked else stream.body
        if stream is not None and body is not None:
            self._grow(stream, body.feed(data.piece))
        if body is None or body.enough:
            frames.skip()
        if stream is None:
            return
        if direction == Direction.SENT:
            if data.ended:
                yield from self._close(data.stream, stream)
        elif body is not None and (data.ended or body.enough):
            yield from self._asked(data.stream, stream, ended=data.ended)
        yield from self._within_bounds()

    def _received(self, block: Block) -> Iterator[Event]:
        stream = self._streams.get(block.stream)
        if stream is None and block.stream > self._highest:
            if block.stream % 2 == 0:
                raise LostError("a request has a number that only answers have")
            self._highest = block.stream
            if self._late and not block.unknown and block.get(":method") is None:
                return  # the trailer of a request that began before the capture
            self._first = self._first or block.stream
            stream = self._open(block.stream, block)
            yield from self._within_bounds()
        if stream is not None and block.ended and not stream.asked:
            yield from self._asked(block.stream, stream, ended=True)

    def _sent(self, block: Block) -> Iterator[Event]:
        stream = self._streams.get(block.stream)
        if stream is None or (not block.ended and (block.get(":status") or "").startswith("1")):
            return
        if not stream.asked:
            yield self._ask(stream, ended=False)
        stream.respond(block)
        if block.ended:
            yield from self._close(block.stream, stream)

    def _began_earlier(self, stream: int) -> Iterator[Event]:
        """Tells once of a request whose headers came before the capture."""
        if (
            not self._late
            or stream in self._streams
            or stream in self._earlier
            or stream >= (self._first or stream + 1)
        ):
            return
        if len(self._earlier) == MOST_STREAMS:
            raise LostError("too many requests began before the capture")
        self._earlier.add(stream)
        yield from self._asked(stream, self._open(stream, None), ended=False)
        yield from self._within_bounds()

    def _open(self, number: int, block: Block | None) -> _Stream:
        stream = self._streams[number] = _Stream(self._number, block, self._most_body)
        self._number += 1
        self._kept += stream.cost
        return stream

    def _grow(self, stream: _Stream, size: int) -> None:
        stream.cost += size
        self._kept += size

    def _ask(self, stream: _Stream, *, ended: bool) -> Asked:
        asked = stream.ask(ended=ended)
        self._grow(stream, -stream.cost)
        return asked

    def _asked(self, number: int, stream: _Stream, *, ended: bool) -> Iterator[Event]:
        yield self._ask(stream, ended=ended)
        if self._frames[Direction.SENT] is None:
            yield from self._close(number, stream)

    def _close(self, number: int, stream: _Stream) -> Iterator[Event]:
        if not stream.asked:
            yield self._ask(stream, ended=False)
        self._grow(stream, -stream.cost)
        del self._streams[number]
        yield stream.answered()

    def _within_bounds(self) -> Iterator[Event]:
        while self._streams and (len(self._streams) > MOST_STREAMS or self._kept > MOST_KEPT + 2 * self._most_body):
            yield from self._close(*next(iter(self._streams.items())))

    def _unanswered(self) -> list[Event]:
        """Nothing more is known of answers: those that are waited for are given up."""
        asked = [(number, stream) for number, stream in self._streams.items() if stream.asked]
        return [event for number, stream in asked for event in self._close(number, stream)]
