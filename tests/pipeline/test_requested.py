"""Requests beside the access that made their connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from sockwarden.document import Document, get
from sockwarden.enrich import Moment
from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.requested import Requests
from sockwarden.requests.describe import describe, returned
from sockwarden.requests.message import Answered, Asked

CONNECTION = wire.Connection(socket=70, client=71, file=3, device=4, connector=500, server=6)
LATER = float("inf")


class Teller:
    """In a decoder's place: what it tells is what the test says."""

    is_alive = True
    is_done = True
    rejected = 0
    last = wire.Beat(1, 0, 0, 0)

    def __init__(self) -> None:
        self.messages: list[wire.Message] = []

    def receive(self, _now: float) -> Iterator[wire.Message]:
        while self.messages:
            yield self.messages.pop(0)

    def fileno(self) -> int:
        return -1

    def finish(self) -> None:
        pass

    def asks(self, target: str, *, number: int = 0, time: int = 1000, method: str = "GET", body: bytes = b"") -> None:
        described = describe(Asked(number, "http/1.1", method, target, body=body, size=len(body)))
        self.messages.append(wire.Asked(CONNECTION, time, described))

    def answers(self, status: int, *, number: int = 0, body: bytes = b"") -> None:
        self.messages.append(wire.Answered(70, returned("container-create", Answered(number, status, body))))


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def requests(teller: Teller) -> Requests:
    made: Any = teller
    return Requests(made, "lsm")


def access(pid: int = 500, action: str = "connected-to", client: int = 71, connector: int = 0) -> Document:
    return {
        "_id": f"{action}-{pid}",
        "event": {"action": action},
        "process": {"pid": pid, "executable": "/bin/x", "parent": {"pid": 1}},
        "user": {"id": "0"},
        "destination": {"address": ["/run/docker.sock", "/srv/x"]},
        "sockwarden": {
            "socket": {"runtime": "docker", "canonical": "/run/docker.sock", "address_as_given": "/srv/x"},
            "connection": {"inode": client, **({"connector": {"pid": connector}} if connector else {})},
        },
    }


def told(requests: Requests, now: float = 0) -> list[Document]:
    requests.receive(now)
    return [one.document for one in requests.take(LATER)]


def test_a_request_has_who_made_the_connection(requests: Requests, teller: Teller) -> None:
    """Given a judged access, when something is asked over its connection and answered, then both are one document."""
    requests.remember(access(), Moment(500, 10, 900))
    teller.asks("/v1.41/containers/create?name=web", method="POST", body=b'{"Image": "bb"}')
    teller.answers(201, body=b'{"Id": "abcd"}')
    requests.receive(0)
    (one,) = requests.take(LATER)
    document = one.document
    assert one.moment == Moment(500, 10, 1000)
    assert get(document, "process.pid") == 500 and get(document, "user.id") == "0"
    # What it runs now may be another program than at the connect.
    assert get(document, "process.executable") is None
    assert get(document, "sockwarden.socket.address_as_given") == "/srv/x"
    request = document["sockwarden"]["request"]
    assert (request["operation"], request["object"], request["status"]) == ("container-create", "web", 201)
    assert request["returned_id"] == "abcd"
    assert document["event"]["outcome"] == "success" and document["event"]["action"] == "requested"
    assert document["http"] == {"request": {"method": "POST"}, "version": "1.1", "response": {"status_code": 201}}
    assert document["url"]["path"] == "/containers/create"


def test_it_waits_for_its_answer_and_not_longer(requests: Requests, teller: Teller) -> None:
    requests.remember(access(), None)
    teller.asks("/_ping")
    assert told(requests, 0) == []
    assert told(requests, 0.4) == []
    (document,) = told(requests, 0.6)
    assert document["event"]["outcome"] == "unknown"
    teller.answers(200)
    assert told(requests, 0.7) == []


def test_it_waits_for_its_access(requests: Requests, teller: Teller) -> None:
    """Given an answered request whose access is not judged yet, when that has been, then it is told with it."""
    teller.asks("/_ping")
    teller.answers(200)
    assert told(requests, 0) == []
    requests.remember(access(), None)
    (document,) = told(requests, 0.6)
    assert get(document, "sockwarden.socket.runtime") == "docker"


def test_without_an_access_the_kernels_word_for_the_connector_counts(requests: Requests, teller: Teller) -> None:
    """Given a connection older than the watch, when something is asked, then its connector is told, and the socket by
    its file.
    """
    teller.asks("/_ping")
    requests.receive(0)
    (document,) = told(requests, 1)
    assert document["process"] == {"pid": 500}
    assert document["sockwarden"]["socket"] == {"type": "path", "device": "00:04", "inode": 3}


def test_who_came_by_the_connection_last_is_told_beside_who_made_it(requests: Requests, teller: Teller) -> None:
    """Given a connection that was passed on, when something is asked, then the receiver is told, and the connector."""
    requests.remember(access(), Moment(500, 10, 900))
    requests.remember(access(600, "received-descriptor", connector=500), Moment(600, 20, 950))
    requests.remember(access(700, "received-descriptor", connector=500), Moment(700, 30, 2000))
    teller.asks("/_ping", time=1000)
    teller.answers(200)
    (document,) = told(requests)
    assert document["process"]["pid"] == 600
    assert document["sockwarden"]["connection"]["connector"] == {"pid": 500}
    assert document["sockwarden"]["connection"]["holders"] == 2


UNSEEN = {"actor": {"origin": "unknown", "evidence": "unseen"}}
FORK = {"process": {"parent": {"pid": 500}}}
OTHER = {"process": {"parent": {"pid": 500}, "executable": "/bin/y"}}


@pytest.mark.parametrize(
    ("holder", "moment", "sender"),
    [
        (UNSEEN, None, 500),
        (FORK, None, 500),
        (OTHER, None, 600),
        (UNSEEN, Moment(600, 20, 950), 600),
        (FORK, Moment(600, 20, 950), 600),
    ],
    ids=["gone", "a fork", "a fork of another program", "gone, told by a sensor", "a fork, told by a sensor"],
)
def test_a_fork_that_a_sweep_met_on_its_way_is_no_sender(
    requests: Requests, teller: Teller, holder: dict[str, Any], moment: Moment | None, sender: int
) -> None:
    """Given a fork that holds its parent's connection until it runs something, when the parent asks, then that is told;
    given one that runs another program, or of whom a sensor told, then that one is.
    """
    requests.remember(access(), Moment(500, 10, 900))
    held = access(600, "held-connection", connector=500)
    held["sockwarden"]["connection"]["connector"]["executable"] = "/bin/x"
    held["sockwarden"]["actor"] = holder.get("actor", {"evidence": "cgroup"})
    held["process"] |= holder.get("process", {})
    requests.remember(held, moment)
    teller.asks("/_ping", time=1000)
    teller.answers(200)
    (document,) = told(requests)
    assert document["process"]["pid"] == sender
    assert document["sockwarden"]["connection"]["holders"] == 2


def test_a_refusal_is_a_failure_with_the_daemons_words(requests: Requests, teller: Teller) -> None:
    requests.remember(access(), None)
    teller.asks("/containers/create", method="POST", body=b"{}")
    teller.answers(400, body=b'{"message": "no image"}')
    (document,) = told(requests)
    assert (document["event"]["outcome"], document["error"]) == ("failure", {"message": "no image"})


def test_what_is_more_than_can_wait_is_counted(requests: Requests, teller: Teller) -> None:
    requests.remember(access(), None)
    described = describe(Asked(0, "http/1.1", "GET", "/_ping"))
    for number in range(20_003):
        teller.messages.append(wire.Asked(CONNECTION, 1000, msgspec.structs.replace(described, number=number)))
    requests.receive(0)
    requests.receive(1)
    assert len([*requests.take(LATER)]) == 20_000
    assert requests.lost["requests-queue"] == 3


def test_the_same_request_is_the_same_document(requests: Requests, teller: Teller) -> None:
    """Given two requests on a connection, when they are told, then their ids differ, and are stable."""
    requests.remember(access(), None)
    ids = []
    for number, time in ((0, 1000), (1, 1000), (0, 1000)):
        teller.asks("/_ping", number=number, time=time)
        teller.answers(200, number=number)
        ids += [one["_id"] for one in told(requests)]
    assert ids[0] != ids[1] and ids[0] == ids[2]
