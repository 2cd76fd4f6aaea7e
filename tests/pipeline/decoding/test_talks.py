"""Connections that are followed: parts of their bytes in, what was asked over them out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.talks import OVERDUE, Talks
from sockwarden.requests.message import NEVER
from sockwarden.requests.operations import UNPROVEN
from sockwarden.sensors.ebpf.streams import Part

PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
CREATE = b"POST /containers/create?name=web HTTP/1.1\r\nHost: d\r\nContent-Length: 16\r\n\r\n"
SECOND = 1_000_000_000
RECEIVED, SENT = 0, 1


class Published:
    """What the programs were told of each connection."""

    def __init__(self) -> None:
        self.wanted: dict[int, tuple[int, int, bool]] = {}

    def __call__(self, socket: int, received: int, sent: int, whole: bool) -> None:
        self.wanted[socket] = (received, sent, whole)


@pytest.fixture
def published() -> Published:
    return Published()


@pytest.fixture
def talks(published: Published) -> Talks:
    return Talks(published, most_body=1024, most=3)


def part(
    data: bytes, offset: int = 0, *, socket: int = 7, direction: int = RECEIVED, time: int = 0, at_start: bool = True
) -> Part:
    return Part(time, socket, 8, offset, 3, 4, 5, 6, direction, at_start, data)


def asked(messages: Iterable[wire.Message]) -> list[tuple[str, str]]:
    return [(one.described.operation, one.described.object) for one in messages if isinstance(one, wire.Asked)]


def test_a_request_and_its_answer_have_one_number(talks: Talks) -> None:
    """Given two pipelined requests, when both are answered, then each answer has the number of its request."""
    messages = [*talks.feed(part(PING + CREATE + b'{"Image": "bb"} '))]
    answers = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
    messages += talks.feed(part(answers, direction=SENT))
    created = b'HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{"Id": "abcd"}'
    messages += talks.feed(part(created, len(answers), direction=SENT))
    assert asked(messages) == [("system-ping", ""), ("container-create", "web")]
    told = [one.returned for one in messages if isinstance(one, wire.Answered)]
    assert [(one.number, one.status, one.returned_id) for one in told] == [(0, 200, ""), (1, 201, "abcd")]


def test_the_programs_are_told_what_is_not_wanted(talks: Talks, published: Published) -> None:
    """Given a body longer than is looked at, when its beginning has come, then the offset after it is wanted next."""
    head = b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\n"
    assert asked(talks.feed(part(head + b"x" * 1024))) == [("image-load", "")]
    assert published.wanted[7] == (len(head) + 1_000_000, 0, False)
    assert asked(talks.feed(part(PING, len(head) + 1_000_000))) == [("system-ping", "")]


def test_where_nothing_can_be_proven_nothing_more_is_wanted(talks: Talks, published: Published) -> None:
    """Given bytes that were lost within a request, when more comes, then the connection is told as unproven, once."""
    [*talks.feed(part(CREATE))]
    messages = [*talks.feed(part(PING, 5000)), *talks.feed(part(PING, 9000))]
    assert asked(messages)[-1:] == [(UNPROVEN, "")]
    assert published.wanted[7][:2] == (NEVER, NEVER)
    assert asked(talks.feed(part(PING, 12000))) == []


def test_a_request_that_stays_unfinished_is_told(talks: Talks) -> None:
    """Given a request whose body does not end, when a second has passed, then it is told as it is, once."""
    [*talks.feed(part(CREATE + b'{"Image"'))]
    assert asked(talks.overdue(OVERDUE - 1)) == []
    (message,) = [one for one in talks.overdue(OVERDUE) if isinstance(one, wire.Asked)]
    assert (message.described.operation, message.described.truncated) == ("container-create", True)
    assert asked(talks.overdue(OVERDUE * 3)) == []


def test_more_connections_than_are_followed(talks: Talks) -> None:
    """Given as many connections as are followed, when another comes, then the one not heard of for longest is told as
    unproven, with what it had begun.
    """
    for socket in (1, 2, 3):
        [*talks.feed(part(CREATE + b"{", socket=socket, time=socket))]
    messages = [*talks.feed(part(PING, socket=4, time=4))]
    assert asked(messages) == [("container-create", "web"), (UNPROVEN, ""), ("system-ping", "")]
    assert (len(talks), talks.given_up) == (3, 1)


def test_an_ended_connection_is_let_go_of(talks: Talks) -> None:
    """Given a client that has ended, when its answers had their time, then its connection takes no room."""
    [*talks.feed(part(PING)), *talks.feed(part(b"", len(PING), time=SECOND))]
    [*talks.overdue(5 * SECOND)]
    assert len(talks) == 1
    [*talks.overdue(6 * SECOND)]
    assert (len(talks), talks.given_up) == (0, 0)


def test_a_connection_that_was_there_before(talks: Talks) -> None:
    """Given a connection seen from its middle, when bytes come that look like a request, then they are not believed."""
    assert asked(talks.feed(part(PING, at_start=False))) == [(UNPROVEN, "")]


def test_the_end_of_a_connection_that_was_never_seen_is_nothing(talks: Talks) -> None:
    assert [*talks.feed(part(b"", 100))] == []
    assert len(talks) == 0
