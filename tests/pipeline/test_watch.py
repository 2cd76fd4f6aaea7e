"""The loop of a watch, whichever sensor feeds it: here a source that gives out what a test hands it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sockwarden.auditrecords import Assembler, Record, document_of, parse_line
from sockwarden.detect import RuleDetection
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.export import metrics_of
from sockwarden.pipeline.gap import RunState
from sockwarden.pipeline.looking import Looking
from sockwarden.pipeline.source import LiveSource, Looker, Told, open_first
from sockwarden.pipeline.watch import Watch
from sockwarden.rules import load_packaged
from sockwarden.sensors.limits import BlindSpot, Lost, Unwatched
from sockwarden.sensors.proc_connector import ProcConnector
from sockwarden.sockets import packaged
from sockwarden.sockets.inventory import Inventory
from sockwarden.store import Keeper, Store


class Handed:
    """Gives out documents that a test hands it, each at once or after the next discovery."""

    name, hook = "handed", "by a test"
    requests = None

    def __init__(self, refuses: str = "") -> None:
        self.processes = ProcConnector()
        self.checks: list[float] = []
        self.followed: list[frozenset[str]] = []
        self.wants_check = False
        self.lost = 0
        self.told: list[Trouble] = []
        self.expired = 0
        self.state = "new"
        self._refuses = refuses
        self._event = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting: list[Document] = []
        self._held: list[tuple[float, Document]] = []

    def hand(self, document: Document, *, held: bool = False) -> None:
        if held:
            self._held.append((time.monotonic(), document))
        else:
            self._waiting.append(document)
        os.eventfd_write(self._event, 1)

    def open(self, tell: Callable[[str], None]) -> None:
        if self._refuses:
            raise InputError(self._refuses)
        self.state = "open"
        tell("opened")

    def filenos(self) -> list[int]:
        return [self._event]

    def follow(self, inventory: Inventory) -> list[Unwatched]:
        self.followed.append(inventory.paths())
        return [Unwatched("/run/odd.sock", "too odd")]

    def receive(self) -> bool:
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)
        return bool(self._waiting)

    def take(self, end: float) -> Iterator[Told]:
        while self._waiting and time.monotonic() < end:
            yield Told(self._waiting.pop(0))

    def last(self, end: float) -> Iterator[Told]:  # noqa: ARG002 - there is never much
        waiting, self._waiting = self._waiting, []
        return map(Told, waiting)

    def expire(self, now: int) -> Iterator[Told]:
        self.expired = now
        return iter(())

    @property
    def wants_discovery(self) -> bool:
        return bool(self._held)

    def discovered(self, began: float) -> None:
        self._waiting += [document for came, document in self._held if came < began]
        self._held = [(came, document) for came, document in self._held if came >= began]

    def has_told(self, client: int, pid: int) -> bool:
        return (client, pid) == (1, 1)

    def check(self, now: float) -> list[Trouble]:
        self.checks.append(now)
        self.wants_check = False
        told, self.told = self.told, []
        return told

    def losses(self) -> Lost:
        return Lost({"test": self.lost}, incomplete=2, rejected=3)

    def blind_spots(self, inventory: Inventory) -> list[BlindSpot]:
        return [BlindSpot("what no test hands", f"{len(inventory.live())} sockets", "")]

    def close(self) -> list[str]:
        os.close(self._event)
        self.state = "closed"
        return []


def access(serial: int) -> Document:
    """An access to Docker's socket by a program of no runtime."""
    stamp = f"msg=audit({time.time():.3f}:{serial}):"
    call = 'arch=c000003e syscall=42 success=yes exit=0 items=0 ppid=1 pid=999999999 uid=0 comm="c" exe="/c" key=(null)'
    lines = (
        f"type=SYSCALL {stamp} {call}",
        f"type=SOCKADDR {stamp} saddr=0100{b'/run/docker.sock'.hex().upper()}00",
        f"type=EOE {stamp} ",
    )
    assembler = Assembler()
    records = [record for line in lines if isinstance(record := parse_line(line.encode()), Record)]
    (event,) = (event for record in records for event in assembler.push(record))
    document = document_of(event)
    assert document
    return document


@contextmanager
def watched(
    folder: Path, sources: Sequence[LiveSource], lookers: Sequence[Looker] = (), notes: list[str] | None = None
) -> Iterator[Watch]:
    tell = ([] if notes is None else notes).append
    delivery = Delivery([], Keeper(folder, max_age_days=30, max_bytes=64 << 20), tell)
    detections = list(map(RuleDetection, load_packaged()))
    opened = open_first(sources, tell)
    watch = Watch(
        detections,
        catalogue=packaged(),
        opened=opened,
        lookers=lookers,
        delivery=delivery,
        state=folder,
        runtime=folder,
        tell=tell,
    )
    watch.start()
    try:
        yield watch
    finally:
        watch.stop("the test")


def turns(watch: Watch, until: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        watch.turn()


def serials(folder: Path) -> set[object]:
    with Store(folder, create=False) as store:
        return {get(document, "event.sequence") for document in store.newest_accesses(100)}


def test_what_comes_is_judged_and_kept(tmp_path: Path) -> None:
    source = Handed()
    with watched(tmp_path, [source]) as watch:
        for serial in range(3):
            source.hand(access(serial))
        turns(watch, lambda: watch.delivery.counts.accesses == 3 and source.expired)
        assert watch.delivery.counts.alerts >= 3
        assert watch.status().sensor == "handed (by a test)"
        assert [spot.what for spot in watch.blind_spots()] == ["what no test hands"]
    assert source.state == "closed"
    assert serials(tmp_path) == {0, 1, 2}


def test_the_first_source_that_opens_is_taken(tmp_path: Path) -> None:
    good, last = Handed(), Handed()
    opened = open_first([Handed("no such hook"), good, last], print)
    assert opened.source is good
    assert list(map(str, opened.refused)) == ["not by handed: no such hook"]
    assert (good.state, last.state) == ("open", "new")
    good.close()


def test_where_no_source_opens_each_reason_is_told(tmp_path: Path) -> None:
    notes: list[str] = []
    with (
        pytest.raises(InputError, match="no audit"),
        watched(tmp_path, [Handed("no such hook"), Handed("no audit")], notes=notes),
    ):
        pass
    assert notes == ["not by handed: no such hook"]


def test_what_is_held_is_judged_after_a_discovery_that_began_later(tmp_path: Path) -> None:
    source = Handed()
    with watched(tmp_path, [source]) as watch:
        turns(watch, lambda: RunState.load(tmp_path))
        source.hand(access(1), held=True)
        source.hand(access(2))
        turns(watch, lambda: watch.delivery.counts.accesses == 1)
        handed = time.monotonic()
        turns(watch, lambda: watch.delivery.counts.accesses == 2)
        assert time.monotonic() - handed < 10, "it waits for no timer"
    assert serials(tmp_path) == {1, 2}


def test_what_is_held_at_the_end_is_judged(tmp_path: Path) -> None:
    source = Handed()
    notes: list[str] = []
    with watched(tmp_path, [source], notes=notes):
        source.hand(access(1), held=True)
    assert serials(tmp_path) == {1}
    assert not any("more accesses" in note for note in notes)


def test_a_source_is_checked_when_it_wants_to_be(tmp_path: Path) -> None:
    source = Handed()
    with watched(tmp_path, [source]) as watch:
        turns(watch, lambda: source.checks)
        source.wants_check = True
        source.told = [Trouble("events-lost", "5 events were lost", "ring")]
        turns(watch, lambda: len(source.checks) == 2)
        assert 0.5 <= source.checks[1] - source.checks[0] < 1.9, "not only every 2 s"
        assert watch.delivery.counts.alerts == 1


def test_loss_is_counted_whichever_the_source(tmp_path: Path) -> None:
    source = Handed()
    source.lost = 7
    with watched(tmp_path, [source]) as watch:
        turns(watch, lambda: source.checks)
        assert watch.status().lost == 7
        metrics = {metric.name: list(metric.samples) for metric in metrics_of(watch)}
    assert metrics["sockwarden_lost_total"] == [({"where": "test"}, 7), ({"where": "process-events"}, 0)]
    assert metrics["sockwarden_incomplete_total"] == [({}, 2)]
    assert metrics["sockwarden_rejected_total"] == [({}, 3)]
    assert metrics["sockwarden_sensor_info"] == [({"sensor": "handed", "hook": "by a test"}, 1)]


class Finder:
    """Looks for so long, and finds one access each time."""

    def __init__(self, seconds: float, takes: float = 0) -> None:
        self.seconds = seconds
        self.looked: list[float] = []
        self.inventory: Inventory | None = None
        self._takes = takes

    @property
    def limits(self) -> list[str]:
        return ["half of it"] if len(self.looked) < 3 else []

    def look(self, inventory: Inventory) -> list[Told]:
        self.inventory = inventory
        self.looked.append(time.monotonic())
        time.sleep(self._takes)
        return [Told(access(len(self.looked)))]


def test_what_a_looker_finds_is_judged_as_well(tmp_path: Path) -> None:
    finder, notes = Finder(0.3), list[str]()
    with watched(tmp_path, [Handed()], [finder], notes) as watch:
        turns(watch, lambda: watch.delivery.counts.accesses >= 3)
        assert watch.delivery.counts.alerts >= 3
    assert finder.inventory is watch.inventory
    assert finder.looked[1] - finder.looked[0] >= 0.3
    assert notes.count("who holds a connection is not known of all: half of it") == 1


def test_a_long_look_is_followed_by_a_longer_pause() -> None:
    finder, inventory = Finder(0.001, takes=0.02), Inventory(packaged())
    looking = Looking([finder])
    while len(finder.looked) < 2:
        looking.look(time.monotonic(), inventory)
        list(looking.take(time.monotonic() + 1))
    assert finder.looked[1] - finder.looked[0] >= 21 * 0.02


def test_nothing_is_looked_for_while_finds_wait() -> None:
    finder, inventory = Finder(0), Inventory(packaged())
    looking = Looking([finder])
    looking.look(time.monotonic(), inventory)
    assert list(looking.take(time.monotonic())) == []
    looking.look(time.monotonic() + 60, inventory)
    assert looking.waits
    assert len(finder.looked) == 1
