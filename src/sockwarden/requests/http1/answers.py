"""The sent direction: which answer belongs to which request, though much of what the daemon sends is never seen.

The sensor hands over what a daemon writes first after each read, and each write that begins with "HTTP/1.". Where
the length of an answer's body is known, so is the place of the next head. Where it is lost, one fact mends it: Go's
server reads on only when it has answered all requests that it has read (apart from a single byte, by which it
watches for a client that hangs up).
"""

from __future__ import annotations

import re
from collections import deque

import msgspec

from sockwarden.requests.http1.body import Body
from sockwarden.requests.http1.head import END_OF_HEAD
from sockwarden.requests.message import MOST_ANSWER, NEVER, Answered

_MOST_HEAD = 16 << 10
_MOST_WAITING = 256
_BEGIN = b"HTTP/1."
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r\n]")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:[ \t]*chunked[ \t]*\r?\n", re.IGNORECASE)
_WATCHING = 1


class Begun(msgspec.Struct, frozen=True):
    """An answer begins.

    number  of its request
    status  None where nobody can say which of the statuses seen is its own
    framed  the head says how long the body is: it was not written by hand, as before a hijack
    proven  no other head can be meant
    stop    offset of the byte behind the head
    """

    number: int
    status: int | None
    framed: bool
    proven: bool
    stop: int


class _Current:
    """The answer that is being sent."""

    def __init__(self, number: int, status: int, body: Body) -> None:
        self.number = number
        self.status = status
        self.body = body
        self.told = False


class Answers:
    """Pairs heads with requests.

    next     offset of the next byte that is not known
    watched  offset in the received direction: a byte there says that what was asked before has been answered
    """

    def __init__(self) -> None:
        self.next = 0
        self._waiting: deque[tuple[int, str]] = deque()
        self._anywhere = False  # the next piece begins with a head, wherever it lies
        self._doubt = False  # a head may be missing, or what looks like one be part of a body
        self._head = bytearray()
        self._current: _Current | None = None
        self._answered_below = 0
        self.watched = 0

    @property
    def wanted(self) -> int:
        """The offset before which no byte is of use."""
        if self._current is not None and self._current.told:
            return min(NEVER, self.next + self._current.body.left)
        return self.next

    def asked(self, number: int, method: str) -> list[Begun | Answered]:
        """A request begins, whose answer is now waited for."""
        self._waiting.append((number, method))
        return self._lose_place() if len(self._waiting) > _MOST_WAITING else []

    def read_on(self, stop: int) -> list[Begun | Answered]:
        """The daemon has received bytes up to an offset; to be called before they are looked at."""
        if stop <= self.watched or self._answered_below == 0:
            return []
        below, self._answered_below = self._answered_below, 0
        found: list[Begun | Answered] = []
        if self._current is not None and self._current.number < below:
            found += self.tell()
            self._current, self._anywhere, self._doubt = None, True, False
        while self._waiting and self._waiting[0][0] < below:
            found.append(Begun(self._waiting.popleft()[0], None, False, False, self.next))
            self._anywhere, self._doubt = True, False
            self._head.clear()
        if self._current is None and self._doubt and not self._waiting:
            self._anywhere, self._doubt = True, False
        return found

    def feed(self, offset: int, data: bytes, received: int, complete: int) -> list[Begun | Answered]:
        """Takes a piece. received: offset up to which bytes were received by then; complete: the number of the first
        request that was not, with its body, among them.
        """
        found: list[Begun | Answered] = []
        if offset < self.next:
            data, offset = data[self.next - offset :], self.next
        if not data:
            return found
        self.watched, self._answered_below = received + _WATCHING, complete
        if offset > self.next:
            found += self._missing(offset)
        self.next = offset + len(data)
        begins = True
        start = 0
        while start < len(data):
            if self._current is not None:
                start, more = self._take_body(data, start)
            elif (self._anywhere or self._doubt) and not self._head and not (begins and data.startswith(_BEGIN)):
                self._doubt, more = True, []
                start = len(data)
            else:
                start, more = self._take_head(offset, data, start)
            begins = False
            found += more
        return found

    def tell(self) -> list[Begun | Answered]:
        """The answer that is being sent, as it is, unless it was told."""
        current = self._current
        if current is None or current.told:
            return []
        current.told = True
        return [Answered(current.number, current.status, bytes(current.body.kept))]

    def _missing(self, offset: int) -> list[Begun | Answered]:
        if self._current is not None and offset - self.next <= self._current.body.left:
            found = self.tell()
            self._current.body.skip(offset - self.next)
            if self._current.body.ended:
                self._current = None
            return found
        if self._anywhere and not self._head and self._current is None:
            return []
        return self._lose_place()

    def _lose_place(self) -> list[Begun | Answered]:
        """What comes next may belong to any request that waits for an answer, and to the one that has its own."""
        found = self.tell()
        several = len(self._waiting) + (self._current is not None) > 1
        self._current, self._anywhere, self._doubt = None, False, True
        self._head.clear()
        while several and self._waiting:
            found.append(Begun(self._waiting.popleft()[0], None, False, False, self.next))
        return found

    def _take_body(self, data: bytes, start: int) -> tuple[int, list[Begun | Answered]]:
        assert self._current is not None  # noqa: S101 - the caller's condition
        body = self._current.body
        start = body.take(data, start)
        if body.refused:
            return len(data), self._lose_place()
        found = self.tell() if body.full else []
        if body.ended:
            self._current = None
        return start, found

    def _take_head(self, offset: int, data: bytes, start: int) -> tuple[int, list[Begun | Answered]]:
        before = len(self._head)
        self._head += data[start:]
        if not _BEGIN.startswith(self._head[: len(_BEGIN)]):
            return len(data), self._lose_place()
        match = END_OF_HEAD.search(self._head, max(0, before - 2))
        if match is None:
            return len(data), self._lose_place() if len(self._head) > _MOST_HEAD else []
        raw = bytes(self._head[: match.end()])
        self._head.clear()
        stop = start + match.end() - before
        return stop, self._begin(raw, offset + stop)

    def _begin(self, raw: bytes, stop: int) -> list[Begun | Answered]:
        status_line = _STATUS_LINE.match(raw)
        if status_line is None:
            return self._lose_place()
        status, proven = int(status_line[1]), not self._doubt
        if status < 200 and status != 101:
            self._anywhere = False
            return []
        if not self._waiting or (not proven and len(self._waiting) > 1):
            return self._lose_place()
        number, method = self._waiting.popleft()
        length, chunked = _LENGTH.search(raw), _CHUNKED.search(raw)
        empty = method == "HEAD" or status in (101, 204, 304)
        until_close = NEVER if length is None else int(length[1])
        body = Body(0 if empty else None if chunked else until_close, MOST_ANSWER)
        self._current = _Current(number, status, body)
        self._anywhere = False
        found: list[Begun | Answered] = [Begun(number, status, bool(length or chunked), proven, stop)]
        if body.ended:
            found += self.tell()
            self._current = None
        return found
