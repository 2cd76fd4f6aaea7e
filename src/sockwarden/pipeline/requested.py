"""What was asked, as documents: each request beside the access that made its connection, and so with who sent it."""

from __future__ import annotations

import select
import time
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sockwarden.document import Document, encode, get
from sockwarden.enrich import Moment
from sockwarden.enrich.procfs import boot
from sockwarden.health import Trouble
from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.decoder import Decoder
from sockwarden.pipeline.fair import FairQueue
from sockwarden.pipeline.request_document import document_of, part_of, put_answer
from sockwarden.pipeline.source import Told
from sockwarden.requests.operations import UNPROVEN

_MOST_CONNECTIONS = 8192
"""Connections of which it is known who made them and who holds them; the one that least was heard of goes first."""
_MOST_HOLDERS = 8
"""Accesses of one connection that are kept: whoever hands it on again and again is told by the latest."""
_ANSWER_SECONDS = 0.5
"""How long a request waits for its answer, and for the access that it belongs to."""
_MOST_PENDING = 20_000
_MOST_WAITING, _MOST_OF_ONE = 40_000, 20_000
"""Requests that wait to be judged, of all connectors and of one."""


class _Access(NamedTuple):
    """An access by which a process came to a connection.

    id       its document's `_id`
    part     what a request takes over from it, as JSON: whole documents of all connections would be 100 MB. Those of a
             process that connects again and again are one and the same.
    moment   None where only a sweep knew of it
    passing  see `_is_passing`
    """

    id: str
    part: bytes
    pid: object
    moment: Moment | None
    passing: bool


class _Pending(msgspec.Struct):
    """A request until it is told: it waits for its answer, and for its access to be judged."""

    asked: wire.Asked
    due: float
    answer: wire.Answered | None = None


class Requests:
    """The requests of one run.

    hook       by what the bytes were seen
    overflowed requests that were more than could wait
    """

    def __init__(self, decoder: Decoder, hook: str) -> None:
        self.overflowed = 0
        self._decoder = decoder
        self._hook = hook
        self._boot = boot()
        self._accesses: OrderedDict[int, list[_Access]] = OrderedDict()
        self._pending: OrderedDict[tuple[int, int], _Pending] = OrderedDict()
        self._ready: FairQueue[_Pending] = FairQueue(most_of_one=_MOST_OF_ONE, most=_MOST_WAITING)

    def fileno(self) -> int:
        """Readable when something was asked."""
        return self._decoder.fileno()

    @property
    def are_read(self) -> bool:
        """Whether anything can be said of what is asked."""
        return self._decoder.is_alive

    @property
    def waits(self) -> bool:
        """Whether requests wait for their answers."""
        return bool(self._pending)

    @property
    def lost(self) -> dict[str, int]:
        """What was not told, by where it was lost."""
        last = self._decoder.last
        return {
            "requests-queue": self.overflowed,
            "requests-connections": last.given_up,
            "requests-decoder": last.rejected + self._decoder.rejected,
        }

    def remember(self, access: Document, moment: Moment | None) -> None:
        """Takes a judged access: whoever asks something over its connection is the one in it."""
        client = get(access, "sockwarden.connection.inode")
        if not isinstance(client, int):
            return
        known = self._accesses.setdefault(client, [])
        passing = moment is None and _is_passing(access)
        part = _same(encode(part_of(access)))
        known.append(_Access(access["_id"], part, get(access, "process.pid"), moment, passing))
        del known[:-_MOST_HOLDERS]
        self._accesses.move_to_end(client)
        if len(self._accesses) > _MOST_CONNECTIONS:
            self._accesses.popitem(last=False)

    def receive(self, now: float) -> bool:
        """Takes what the decoder has told: whether `take` has something. now: time.monotonic."""
        for message in self._decoder.receive(now):
            self._receive(message, now)
        while self._pending:
            key, first = next(iter(self._pending.items()))
            if first.due > now and len(self._pending) <= _MOST_PENDING:
                break
            del self._pending[key]
            self._enqueue(first)
        return bool(self._ready)

    def _receive(self, message: wire.Message, now: float) -> None:
        if isinstance(message, wire.Asked):
            key = message.connection.socket, message.described.number
            self._pending[key] = _Pending(message, now + _ANSWER_SECONDS)
            if message.described.operation == UNPROVEN and self._is_known(message.connection):
                self._enqueue(self._pending.pop(key))
        elif isinstance(message, wire.Answered):
            key = message.socket, message.returned.number
            pending = self._pending.get(key)
            if pending is None:
                return
            pending.answer = message
            if self._is_known(pending.asked.connection):
                self._enqueue(self._pending.pop(key))

    def _is_known(self, connection: wire.Connection) -> bool:
        return connection.client in self._accesses

    def _enqueue(self, pending: _Pending) -> None:
        if not self._ready.put(pending.asked.connection.connector, pending):
            self.overflowed += 1

    def take(self, end: float) -> Iterator[Told]:
        """The requests, with their answers where these have come; ends at a time of time.monotonic."""
        offset = time.time_ns() - time.monotonic_ns()
        while self._ready and time.monotonic() < end:
            yield self._told_of(self._ready.take(), offset)

    def last(self, end: float) -> Iterator[Told]:
        """At the end of the watch, when nothing more passes: what waits, and what the decoder still tells."""
        self._decoder.finish()
        poll = select.poll()
        poll.register(self._decoder.fileno(), select.POLLIN)
        while not self._decoder.is_done and self.are_read and (left := end - time.monotonic()) > 0:
            poll.poll(min(left, _ANSWER_SECONDS) * 1000)
            self.receive(time.monotonic())
        while self._pending:
            self._enqueue(self._pending.popitem(last=False)[1])
        yield from self.take(end)

    def check(self, now: float) -> list[Trouble]:
        """Whether requests are read."""
        return self._decoder.check(now)

    def close(self) -> None:
        """Ends the decoder."""
        self._decoder.close()

    def _told_of(self, pending: _Pending, offset: int) -> Told:
        asked = pending.asked
        access, holders = self._sender(asked)
        part = {**msgspec.json.decode(access.part, type=dict), "_id": access.id} if access else None
        document = document_of(asked, part, self._boot, offset)
        document["sockwarden"]["sensor"] = {"name": "ebpf", "hook": self._hook}
        if holders > 1:
            document["sockwarden"]["connection"]["holders"] = holders
        if pending.answer:
            put_answer(document, pending.answer.returned)
        pid = document["process"]["pid"]
        start = access.moment.start if access and access.moment else 0
        return Told(document, Moment(pid, start, asked.time))

    def _sender(self, asked: wire.Asked) -> tuple[_Access | None, int]:
        """The access of who holds the sending end: the latest before the request; and how many have had it. Of several
        that hold it nobody knows which one sends: who came by it last is told, beside who had made it.
        """
        client = asked.connection.client
        known = self._accesses.get(client, [])
        if known:
            self._accesses.move_to_end(client)
        before = [each for each in known if each.moment is None or each.moment.time <= asked.time]
        if not before:
            return (known[0] if known else None), len(known)
        others = [each for each in before if not each.passing]
        return (others or before)[-1], len({each.pid for each in before})


@lru_cache(maxsize=1024)
def _same(part: bytes) -> bytes:
    """Of equal ones the first."""
    return part


def _is_passing(access: Document) -> bool:
    """Whether a sweep met a fork on its way to an exec, which has all that its parent has: it was gone before anything
    of it could be read, or ran what made the connection, as a child of it. An exec that keeps the connection is told.
    """
    process, actor, connector = (
        get(access, name) or {} for name in ("process", "sockwarden.actor", "sockwarden.connection.connector")
    )
    forked = get(process, "parent.pid") == connector.get("pid") is not None
    same = process.get("executable") == connector.get("executable") is not None
    return actor.get("evidence") == "unseen" or (forked and same)
