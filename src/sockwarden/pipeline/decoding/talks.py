"""The connections that are followed: parts of their bytes in, what was asked over them out."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.shares import Shares
from sockwarden.requests.conversation import begin
from sockwarden.requests.describe import describe, describe_unproven, returned
from sockwarden.requests.message import NEVER, Answered, Asked, Conversation, Direction, Event, Unproven
from sockwarden.sensors.ebpf.streams import Part

MOST_TALKS = 512
"""Connections that are followed at once. Each may hold some hundred KiB."""
OVERDUE = 1_000_000_000
"""ns after which a request is told as it is: the daemon may act on the half of it."""
_ENDED = 5_000_000_000
"""ns after the client's last byte for which an answer is still waited for."""
_MOST_OPEN = 256
"""Requests of one connection whose answers are waited for."""

Publish = Callable[[int, int, int, bool], None]
"""Tells the programs what is wanted of a connection: as `Wanted.set`."""


class _Talk:
    """One connection. dead: nothing more can be learned of it."""

    def __init__(self, part: Part, conversation: Conversation) -> None:
        self.connection = wire.Connection(part.socket, part.client, part.file, part.device, part.connector, part.server)
        self.conversation = conversation
        self.time = part.time
        self.waits = False
        self.ended = 0
        self.dead = False
        self.next = 0
        self.open: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._published: tuple[int, int, bool] = (0, 0, False)

    def publish(self, publish: Publish) -> None:
        conversation = self.conversation
        received, sent = (NEVER if self.dead else conversation.wanted(each) for each in Direction)
        wanted = (received, sent, conversation.whole)
        if wanted != self._published:
            self._published = wanted
            publish(self.connection.socket, *wanted)


class Talks:
    """All of them.

    given_up  connections that were followed no longer: others came, or they took too much time
    patience  ns for which the rest of a request is waited for
    """

    def __init__(self, publish: Publish, *, most_body: int, bodies: bool = False, most: int = MOST_TALKS) -> None:
        self.given_up = 0
        self.patience = OVERDUE
        self._publish = publish
        self._shares = Shares()
        self._most_body = most_body
        self._bodies = bodies
        self._most = most
        self._talks: OrderedDict[int, _Talk] = OrderedDict()

    def __len__(self) -> int:
        return len(self._talks)

    def feed(self, part: Part) -> Iterator[wire.Message]:
        """What is told by a part of the bytes of one connection."""
        talk = self._talks.get(part.socket)
        if talk is None:
            if not part.data:
                return
            talk = _Talk(part, begin(at_start=part.at_start, most_body=self._most_body))
            self._talks[part.socket] = talk
            yield from self._make_room()
        self._talks.move_to_end(part.socket)
        talk.time, talk.waits = part.time, True
        if part.data and not talk.dead:
            began = time.perf_counter()
            yield from self._told(talk, talk.conversation.feed(Direction(part.direction), part.offset, part.data))
            ended = time.perf_counter()
            if not (self._shares.take(part.connector, ended - began, ended) or talk.dead):
                self.given_up += 1
                yield self._unproven(talk, Unproven("to read it takes more time than one client may take"))
        elif not part.data and not talk.ended:
            talk.ended = part.time
        talk.publish(self._publish)

    def overdue(self, now: int) -> Iterator[wire.Message]:
        """What is told because nothing more has come. now: ns of CLOCK_MONOTONIC."""
        for talk in [each for each in self._talks.values() if each.waits and now - each.time >= self.patience]:
            talk.waits = False
            if not talk.dead:
                yield from self._told(talk, talk.conversation.overdue())
        for socket in [key for key, each in self._talks.items() if each.ended and now - each.ended >= _ENDED]:
            del self._talks[socket]

    def _make_room(self) -> Iterator[wire.Message]:
        while len(self._talks) > self._most:
            _, oldest = self._talks.popitem(last=False)
            if not oldest.dead and not oldest.ended:
                self.given_up += 1
                yield from self._told(oldest, oldest.conversation.overdue())
                yield self._unproven(oldest, Unproven("more connections were open than are followed at once"))
                oldest.publish(self._publish)

    def _told(self, talk: _Talk, events: Iterable[Event]) -> Iterator[wire.Message]:
        for event in events:
            if isinstance(event, Asked):
                yield self._asked(talk, event)
            elif isinstance(event, Answered):
                yield self._answered(talk, event)
            else:
                yield self._unproven(talk, event)

    def _asked(self, talk: _Talk, asked: Asked) -> wire.Asked:
        described = describe(asked, store_bodies=self._bodies)
        talk.next = max(talk.next, asked.number + 1)
        talk.open[asked.number] = (described.operation, described.method)
        if len(talk.open) > _MOST_OPEN:
            talk.open.popitem(last=False)
        return wire.Asked(talk.connection, talk.time, described)

    def _answered(self, talk: _Talk, answered: Answered) -> wire.Answered:
        operation, method = talk.open.pop(answered.number, ("", ""))
        return wire.Answered(talk.connection.socket, returned(operation, answered, method))

    def _unproven(self, talk: _Talk, unproven: Unproven) -> wire.Asked:
        talk.dead = True
        return wire.Asked(talk.connection, talk.time, describe_unproven(unproven, talk.next))
