"""One connection that speaks HTTP/1.x, in both directions."""

from __future__ import annotations

from collections.abc import Callable

from sockwarden.requests.http1.answers import Answers, Begun
from sockwarden.requests.http1.body import Body
from sockwarden.requests.http1.head import END_OF_HEAD, MOST_HEAD, TOKEN, Head, Refused, Takes, begun, read_head
from sockwarden.requests.message import NEVER, Answered, Asked, Conversation, Direction, Event, Unproven

_MOST_HELD = 64 << 10
"""Bytes kept that follow a request on whose answer it depends whether they are requests."""
_MOST_AFTER_POST = 4
"""Bytes in which Go's server passes over line ends that follow a POST."""


class _Open:
    """A request whose head was read."""

    def __init__(self, number: int, head: Head, body: Body) -> None:
        self.number = number
        self.head = head
        self.body = body
        self.told = False
        self.undecided = head.takes is not Takes.NOTHING


class Http1:
    """A Conversation in HTTP/1.x, from its first byte.

    upgraded  makes the conversation that follows in HTTP/2, from the number of its first request
    """

    def __init__(self, *, most_body: int, upgraded: Callable[[int], Conversation]) -> None:
        self._most_body = most_body
        self._upgraded = upgraded
        self._after: Conversation | None = None
        self._over = False
        self._next = 0
        self._numbers = 0
        self._open: _Open | None = None
        self._pending = bytearray()
        self._searched = 0
        self._after_post = False
        self._last = False
        self._answers = Answers()

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        if self._after is not None:
            return self._after.feed(direction, offset, data)
        if self._over:
            return []
        if direction is Direction.RECEIVED:
            return self._receive(offset, data)
        complete = self._numbers
        if self._open is not None and not self._open.body.ended:
            complete = self._open.number
        return self._settle(self._answers.feed(offset, data, self._next, complete), offset, data)

    def wanted(self, direction: Direction) -> int:
        if self._after is not None:
            return self._after.wanted(direction)
        if self._over:
            return NEVER
        if direction is Direction.SENT:
            return self._answers.wanted
        if self._open is not None and self._open.told:
            return min(NEVER, self._next + self._open.body.left)
        return self._next

    @property
    def whole(self) -> bool:
        return self._after is not None and self._after.whole

    def overdue(self) -> list[Event]:
        if self._after is not None:
            return self._after.overdue()
        return [] if self._over else [*self._tell(), *self._settle(self._answers.tell())]

    def _receive(self, offset: int, data: bytes) -> list[Event]:
        if offset < self._next:
            data, offset = data[self._next - offset :], self._next
        if not data:
            return []
        turn = self._answers.watched - offset
        if 0 < turn < len(data):  # so that events do not depend on how the bytes come
            first = self._receive(offset, data[:turn])
            return first if self._over else first + self._receive(offset + turn, data[turn:])
        events = self._settle(self._answers.read_on(offset + len(data)))
        if self._over:
            return events
        if offset > self._next:
            missing = offset - self._next
            if self._open is None or missing > self._open.body.left:
                return [*events, *self._unproven("bytes of the connection were lost")]
            self._open.body.skip(missing)
        self._next = offset + len(data)
        return events + self._read(data)

    def _read(self, data: bytes) -> list[Event]:
        """Goes through bytes that follow each other without a gap; the last of them lies before `_next`."""
        events: list[Event] = []
        start = 0
        while not self._over:
            request = self._open
            if request is None:
                data, start, found = self._read_head(data, start)
                events += found
                if self._open is None:
                    break
                continue
            start = request.body.take(data, start)
            if request.body.full or request.body.refused:
                events += self._tell()
            if request.body.refused:
                events += self._unproven(request.body.refused)
            elif request.body.ended:
                if request.undecided:
                    return events + self._hold(data[start:])
                self._close(request)
            elif start == len(data):
                break
        return events

    def _close(self, request: _Open) -> None:
        self._open = None
        self._last = request.head.last

    def _hold(self, data: bytes) -> list[Event]:
        self._pending += data
        if len(self._pending) > _MOST_HELD:
            return self._unproven("too much follows a request that may take over the connection")
        return []

    def _read_head(self, received: bytes, start: int) -> tuple[bytes, int, list[Event]]:
        """Reads one head, or keeps what may become one. Gives the data to go on with, and where in it."""
        data: bytes | bytearray = received
        if self._pending:
            self._pending += received[start:]
            data, start = self._pending, 0
        if self._after_post:
            if len(data) - start < _MOST_AFTER_POST:
                return self._keep(data, start)
            self._after_post = False
            lead = data[start : start + _MOST_AFTER_POST]
            start += len(lead) - len(lead.lstrip(b"\r\n"))
        if start < len(data) and data[start] not in TOKEN:
            return b"", 0, self._unproven("no request begins where one has to")
        match = END_OF_HEAD.search(data, max(start, self._searched))
        if match is None or match.end() - start > MOST_HEAD:
            if len(data) - start > MOST_HEAD:
                return b"", 0, self._refuse(bytes(data[start : start + MOST_HEAD]), "a head is too long")
            return self._keep(data, start)
        whole = bytes(data)
        self._pending.clear()
        self._searched = 0
        return whole, match.end(), self._begin(whole[start : match.end()])

    def _keep(self, data: bytes | bytearray, start: int) -> tuple[bytes, int, list[Event]]:
        if data is self._pending:
            del self._pending[:start]
        else:
            self._pending += data[start:]
        self._searched = max(0, len(self._pending) - 2)
        return b"", 0, []

    def _begin(self, raw: bytes) -> list[Event]:
        if self._last:
            return self._refuse(raw, "a request follows one after which the daemon hangs up")
        try:
            head = read_head(raw)
        except Refused as refused:
            return self._refuse(raw, str(refused))
        events = self._settle(self._answers.tell())
        self._open = _Open(self._numbers, head, Body(head.length, self._most_body))
        self._numbers += 1
        self._after_post = head.method == "POST"
        return events + self._settle(self._answers.asked(self._open.number, head.method))

    def _refuse(self, raw: bytes, why: str) -> list[Event]:
        """Says what a head asks for all the same: the daemon may act on it."""
        self._pending = bytearray(raw)
        return self._unproven(why)

    def _tell(self) -> list[Event]:
        """The request that is open, as it is, unless it was told."""
        request = self._open
        if request is None or request.told:
            return []
        request.told = True
        head, body = request.head, request.body
        size = body.announced if body.whole else head.length
        kept = bytes(body.kept)
        return [
            Asked(request.number, "http/1.1", head.method, head.target, head.headers, kept, size, not body.whole),
        ]

    def _unproven(self, why: str) -> list[Event]:
        events = self._tell()
        if self._open is None and (line := begun(bytes(self._pending))):
            events.append(Asked(self._numbers, "http/1.1", *line, truncated=True))
        return [*events, *self._end(), Unproven(why)]

    def _end(self) -> list[Event]:
        """Nothing more is wanted; gives what was begun of an answer."""
        self._over = True
        self._open = None
        self._pending = bytearray()
        return [found for found in self._answers.tell() if isinstance(found, Answered)]

    def _settle(self, found: list[Begun | Answered], offset: int = 0, data: bytes = b"") -> list[Event]:
        """Makes events of what was seen of answers, and follows from it where the connection goes."""
        events: list[Event] = []
        for one in found:
            if isinstance(one, Answered):
                events.append(one)
                continue
            if self._open is not None and self._open.number == one.number:
                events += self._tell()
            if one.status is None:
                events.append(Answered(one.number, None))
        for one in found:
            if isinstance(one, Begun) and not self._over:
                events += self._decide(one)
                if self._after is not None and one.stop < offset + len(data):
                    events += self._after.feed(Direction.SENT, one.stop, data[one.stop - offset :])
        return events

    def _decide(self, answer: Begun) -> list[Event]:
        """What the connection is after an answer began."""
        request = self._open
        if request is None or request.number != answer.number or not request.undecided:
            return self._unproven("the daemon changed the protocol unasked") if answer.status == 101 else []
        request.undecided = False
        if not answer.proven:
            return self._unproven("the answer to a request that may take over the connection was lost")
        takes = request.head.takes
        by_hand = answer.status == 200 and not answer.framed and takes is Takes.STREAM
        if answer.status != 101 and not by_hand:
            return self._resume(request)
        if takes is Takes.GRPC:
            if self._pending or not request.body.ended:
                return self._unproven("bytes of another protocol came before the daemon changed to it")
            self._after = self._upgraded(self._numbers)
        return self._end()

    def _resume(self, request: _Open) -> list[Event]:
        if not request.body.ended:
            return []
        held = bytes(self._pending)
        self._pending.clear()
        self._close(request)
        return self._read(held)
