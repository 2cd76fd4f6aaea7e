"""What one place does not take keeps nothing from the others."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from rich.console import Console

from sockwarden.alerts import Detector, build
from sockwarden.document import Document
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.live import Judged
from sockwarden.sinks import Sink
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.live import LiveSink
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.stream import StreamSink
from sockwarden.sinks.syslog import Formatter
from sockwarden.sinks.syslog_carrier import SyslogCarrier
from sockwarden.store import Keeper, Store

DETECTOR = Detector("r", "A rule", "medium", 47, "1", [], {})


def access(number: int, **own: str) -> Document:
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    time_ = "2026-11-22T10:00:00.000Z"
    return {"_index": "sockwarden", "_id": identity, "_version": 1, "@timestamp": time_, "sockwarden": {**own}}


def judged(number: int) -> Judged:
    document = access(number)
    return Judged(document, [build(document, DETECTOR, view=None)])


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "state", max_age_days=30, max_bytes=64 << 20)


@pytest.fixture
def unread() -> Iterator[BinaryIO]:
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as file:
        yield file


def test_every_access_is_kept_and_every_alert_delivered(keeper: Keeper, tmp_path: Path) -> None:
    notes: list[str] = []
    delivery = Delivery([NdjsonFileSink(tmp_path / "alerts")], keeper, notes.append)
    delivery.accesses([judged(1), Judged(access(2, own="canary"), []), judged(3)])
    delivery.alerts([build(access(4), DETECTOR, view=None)])
    delivery.tick(time.monotonic())
    delivery.close()
    assert (delivery.counts.accesses, delivery.counts.own, delivery.counts.alerts) == (3, 1, 3)
    assert len((tmp_path / "alerts").read_bytes().splitlines()) == 3
    with Store(tmp_path / "state", create=False) as store:
        assert (store.count_accesses(), store.count()) == (3, 3)
    assert notes == []


def test_a_reader_that_left_is_told_once_and_the_others_go_on(keeper: Keeper, tmp_path: Path, unread: BinaryIO) -> None:
    notes: list[str] = []
    sinks: list[Sink] = [StreamSink("ndjson", unread), NdjsonFileSink(tmp_path / "alerts")]
    delivery = Delivery(sinks, keeper, notes.append)
    for number in range(3):
        delivery.accesses([judged(number)])
        delivery.tick(time.monotonic())
    assert not delivery.unheard
    assert len((tmp_path / "alerts").read_bytes().splitlines()) == 3
    assert [note for note in notes if "standard output" in note] == notes != []
    assert len(notes) == 1
    delivery.close()


def test_when_nobody_reads_and_nothing_else_is_there_that_is_known(keeper: Keeper, unread: BinaryIO) -> None:
    delivery = Delivery([StreamSink("ndjson", unread)], keeper, lambda _: None)
    delivery.accesses([judged(1)])
    delivery.tick(time.monotonic())
    assert delivery.unheard
    delivery.accesses([judged(2)])
    delivery.close()
    assert delivery.keeper.saved == 4


def test_a_place_that_takes_nothing_is_told_and_alerts_still_show(tmp_path: Path) -> None:
    notes: list[str] = []
    (tmp_path / "state").write_text("a file where the folder should be", encoding="ascii")
    screen = (tmp_path / "screen").open("w", encoding="utf-8")
    sinks: list[Sink] = [NdjsonFileSink(tmp_path / "none" / "alerts"), LiveSink(Console(file=screen, width=80))]
    delivery = Delivery(sinks, Keeper(tmp_path / "state", max_age_days=1, max_bytes=1 << 24), notes.append)
    delivery.accesses([judged(1)])
    delivery.tick(time.monotonic())
    assert "A rule" in (tmp_path / "screen").read_text(encoding="utf-8")
    assert delivery.undelivered == 1
    told = "\n".join(notes)
    assert str(tmp_path / "state") in told
    assert str(tmp_path / "none" / "alerts") in told
    delivery.close()
    screen.close()
    assert delivery.keeper.dropped == 2
    assert "are lost" in notes[-1]


def test_what_sinks_say_at_the_end_is_told(keeper: Keeper, tmp_path: Path) -> None:
    """A receiver that is away: the run goes on, and says what waits for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    notes: list[str] = []
    away = SpooledSink("siem", SyslogCarrier("127.0.0.1", port, "tcp", Formatter().message), tmp_path / "state")
    delivery = Delivery([away, NdjsonFileSink(tmp_path / "alerts")], keeper, notes.append)
    delivery.accesses([judged(1), judged(2)])
    delivery.close()
    assert delivery.undelivered == 0
    assert len((tmp_path / "alerts").read_bytes().splitlines()) == 2
    assert "siem: alerts cannot be delivered" in notes[0]
    assert notes[-1] == "siem: 2 alerts wait in the spool for the next run"


class _Accesses:
    """A sink that counts accesses, beside one that takes alerts alone."""

    lost = 0
    notifies = False

    def __init__(self) -> None:
        self.taken: list[Document] = []

    def accesses(self, documents: Iterable[Document]) -> None:
        self.taken.extend(documents)

    def add(self, alerts: Sequence[Document]) -> None: ...

    def tick(self, now: float) -> None: ...

    def reopen(self) -> None: ...

    def notes(self) -> list[str]:
        return []

    def close(self) -> None: ...


def test_accesses_go_to_the_sinks_that_take_them(keeper: Keeper, tmp_path: Path) -> None:
    into_index = _Accesses()
    delivery = Delivery([into_index, NdjsonFileSink(tmp_path / "alerts", "ndjson")], keeper, print)
    delivery.accesses([judged(1), judged(2)])
    delivery.close()
    assert [document["_id"] for document in into_index.taken] == [access(1)["_id"], access(2)["_id"]]
