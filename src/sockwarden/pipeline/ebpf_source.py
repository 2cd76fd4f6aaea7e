"""The eBPF sensor as a watch's source: what the programs told, as documents and as events of processes."""

from __future__ import annotations

import os
import time
from collections import Counter as Counted
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX

from sockwarden.document import put
from sockwarden.enrich import Moment, ProcessEvent
from sockwarden.enrich.event import Kind as EventKind
from sockwarden.enrich.procfs import Program, Surroundings, boot
from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.pipeline.decoding.decoder import Decoder, Reading
from sockwarden.pipeline.fair import FairQueue
from sockwarden.pipeline.requested import Requests
from sockwarden.pipeline.source import Told
from sockwarden.recent import Recent
from sockwarden.sensors.audit import remove_leftovers
from sockwarden.sensors.audit.runtime import Runtime
from sockwarden.sensors.ebpf import identities
from sockwarden.sensors.ebpf.blind import blind_spots
from sockwarden.sensors.ebpf.document import document_of
from sockwarden.sensors.ebpf.lookup import file_of
from sockwarden.sensors.ebpf.pulse import Pulse
from sockwarden.sensors.ebpf.records import Counter, Kin, Kind, Record, kin_of
from sockwarden.sensors.ebpf.sensor import EbpfSensor
from sockwarden.sensors.limits import BlindSpot, Lost, Unwatched
from sockwarden.sockets import text_of
from sockwarden.sockets.diag import device_text
from sockwarden.sockets.inventory import Inventory

_MOST_WAITING, _MOST_OF_ONE = 100_000, 40_000
"""Accesses that wait to be judged, of all processes and of one: what is more of one is counted only."""
_MOST_HELD = 20_000
"""Accesses to sockets that nobody has decided on, until a discovery has."""
_MOST_TURNS = 8
"""Times that the ring is read before anything is judged."""
_MOST_KINS = 4096
"""Kinds of accesses of which the last is remembered, for what is counted only."""
_MOST_CONNECTIONS = 65_536
"""Connections of which it is remembered who was told to have them."""
_KINDS: dict[Kind, EventKind] = {
    Kind.FORK: "fork",
    Kind.EXEC: "exec",
    Kind.EXIT: "exit",
    Kind.RENAME: "comm",
    Kind.CGROUP: "cgroup",
}
_PLACED = frozenset({Kind.FORK, Kind.EXEC, Kind.CGROUP})
"""Records that tell where the process lives."""


class EbpfProcesses:
    """The processes' half of the sensor: a `ProcessSource`."""

    def __init__(self, sensor: EbpfSensor, is_daemon: Callable[[str], bool]) -> None:
        self.is_open = False
        self.called = False
        self._sensor = sensor
        self._is_daemon = is_daemon

    def open(self) -> None:
        """Nothing is to be done: the programs are in place."""
        self.is_open = True

    def fileno(self) -> int:
        """The ring of processes."""
        return self._sensor.filenos()[1]

    @property
    def lost(self) -> int:
        """Events for which the ring had no room."""
        return self._sensor.count(Counter.PROCESSES_DROPPED)

    def receive(self) -> list[ProcessEvent]:
        """What has come; a new listener, or the start of a runtime's daemon, calls for a discovery."""
        events = []
        for record in self._sensor.processes():
            if record.kind is Kind.LISTEN:
                self.called = True
            else:
                events.append(_event(record))
                self.called |= record.kind is Kind.EXEC and self._is_daemon(record.executable or "")
        return events

    def close(self) -> None:
        """The sensor takes the programs away."""
        self.is_open = False


class EbpfSource:
    """A `LiveSource` by BPF programs.

    runtime    folder of the lock, and of what a killed watch by audit is to have put back
    is_daemon  whether a program of this path serves runtime sockets
    only       the one rung to stand on; None for the best
    reading    how requests are read; None for not at all
    """

    name = "ebpf"
    wants_check = False
    """Nothing tells it at once that others changed what it put in place."""

    def __init__(
        self,
        runtime: Path,
        is_daemon: Callable[[str], bool],
        *,
        only: str | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.requests: Requests | None = None
        self._reading = reading
        self._runtime = Runtime(runtime)
        self._sensor = EbpfSensor(only=only)
        self.processes = EbpfProcesses(self._sensor, is_daemon)
        self.hook = ""
        self._inventory: Inventory | None = None
        self._known: frozenset[bytes] = frozenset()
        self._waiting: FairQueue[Record] = FairQueue(most_of_one=_MOST_OF_ONE, most=_MOST_WAITING)
        self._held: deque[tuple[float, Record]] = deque()
        self._overflowed = 0
        self._folded: deque[Told] = deque()
        self._counted: Counted[Kin] = Counted()
        self._forgotten = 0
        self._last: OrderedDict[Kin, Record] = OrderedDict()
        self._told: Recent[int] = Recent(_MOST_CONNECTIONS)
        self._lost_told = 0
        self._pulse: Pulse | None = None
        self._emptied = 0.0
        self._boot = boot()
        self._network = identities.network_of("self")
        self._mounts = os.stat("/proc/self/ns/mnt").st_ino  # noqa: PTH116 - a namespace, no file

    def open(self, tell: Callable[[str], None]) -> None:
        """Takes the lock, and loads and attaches the programs."""
        self._take_over(tell)
        self._runtime.lock()
        try:
            loaded = self._sensor.open()
            self._pulse = Pulse()
            if self._reading and (streams := self._sensor.streams):
                self.requests = Requests(Decoder(streams, self._reading), loaded.rung.name)
        except BaseException:
            self._sensor.close()
            self._runtime.release()
            raise
        self.hook = loaded.rung.name
        for name, why in loaded.rung.missed.items():
            tell(f"without {name}: {why}")

    def _take_over(self, tell: Callable[[str], None]) -> None:
        """Takes away what a killed watch by audit had left; where audit is out of reach nothing is to be had. Without a
        note of such a one here, rules of our key are those of a watch with another runtime folder.
        """
        if self._runtime.read() is None:
            return
        with suppress(OSError, InputError):
            done, failed = remove_leftovers(self._runtime.folder)
            if done:
                tell(f"left by a killed watch, and taken away: {len(done)} audit rules and settings")
            for one in failed:
                tell(f"left by a killed watch: {one}\n`sockwarden setup audit remove` tries again.")

    def filenos(self) -> list[int]:
        """The rings."""
        return self._sensor.filenos()

    def follow(self, inventory: Inventory) -> list[Unwatched]:
        """Makes the programs' map fit the sockets that there are."""
        self._inventory = inventory
        keys = {key for live in inventory.live() for key in identities.of_live(live, self._network)}
        self._known = frozenset(keys)
        pulse = {self._pulse.identity} if self._pulse else set()
        self._sensor.serve({listener.pid for live in inventory.live() for listener in live.listeners})
        self._sensor.watch(self._known | pulse | set(identities.of_pieces(inventory.wanted.addresses)))
        return []

    def receive(self) -> bool:
        """Empties the ring, so that nobody's flood fills it; what nobody has decided on is held for a discovery."""
        now = time.monotonic()
        for _ in range(_MOST_TURNS):
            found = self._sensor.accesses()
            for record in self._others(found):
                self._receive(record, now)
            if not found:
                self._emptied = now
                break
        return bool(self._waiting or self._folded)

    def _others(self, found: list[Record]) -> Iterator[Record]:
        """All but the watch's own pulse, which is no access."""
        return (record for record in found if not (self._pulse and self._pulse.takes(record)))

    def _receive(self, record: Record, now: float) -> None:
        self._remember(record)
        if record.result < 0 or not self._is_undecided(record):
            self._enqueue(record)
        elif len(self._held) < _MOST_HELD:
            self._held.append((now, record))
        else:
            self._overflowed += 1

    def _enqueue(self, record: Record) -> None:
        if not self._waiting.put(record.who.pid, record):
            self._counted[kin_of(record)] += 1

    def take(self, end: float) -> Iterator[Told]:
        """The accesses as documents."""
        while self._folded:
            yield self._folded.popleft()
        offset = time.time_ns() - time.monotonic_ns()
        while self._waiting and time.monotonic() < end:
            yield self._told_of(self._waiting.take(), offset)

    def expire(self, now: int) -> Iterator[Told]:  # noqa: ARG002 - every record is whole
        """None: every record is whole."""
        return iter(())

    def last(self, end: float) -> Iterator[Told]:
        """Takes the programs out of their hooks, and tells whatever had come: whole until `end`, then counted."""
        self._sensor.detach()
        while found := self._sensor.accesses():
            for record in self._others(found):
                self._remember(record)
                self._enqueue(record)
        while self._held:
            self._enqueue(self._held.popleft()[1])
        self.processes.called = False
        return self._rest(end)

    def _rest(self, end: float) -> Iterator[Told]:
        yield from self.take(end)
        while self._waiting:
            self._counted[kin_of(self._waiting.take())] += 1
        self._fold()
        yield from self._folded
        self._folded.clear()

    @property
    def wants_discovery(self) -> bool:
        """Whether something began to listen, a daemon began, or accesses wait for a decision."""
        return self.processes.called or bool(self._held)

    def discovered(self, began: float) -> None:
        """Decides on what came before a discovery began: what it did not find is no runtime's."""
        self.processes.called = False
        while self._held and self._held[0][0] < began:
            record = self._held.popleft()[1]
            if self._is_undecided(record):
                self._sensor.leave_alone(identities.of_record(record))
            else:
                self._enqueue(record)

    def has_told(self, client: int, pid: int) -> bool:
        """Whether a record told that this process has this connection."""
        return _held_by(client, pid) in self._told

    def check(self, now: float) -> list[Trouble]:
        """Floods that were counted only, as an access each; what was lost; and whether all is still in place."""
        self._fold()
        lost = self.losses().total
        fresh, self._lost_told = lost - self._lost_told, max(lost, self._lost_told)
        troubles = self._tampered(now, lost=fresh > 0) + (self.requests.check(now) if self.requests else [])
        if fresh > 0:
            why = f"{fresh:,} accesses were lost: more came than could be read, or a program was held up"
            troubles.append(Trouble("events-lost", why, f"eBPF, {lost:,} in all"))
        return troubles

    def _tampered(self, now: float, *, lost: bool) -> list[Trouble]:
        """What others did to the programs and their maps. lost: records, since the last look."""
        troubles = []
        if gone := self._sensor.mend():
            why = (
                f"{gone:,} keys of runtime sockets had been taken out of the programs' map by others, and accesses may "
                "not have been told until they were put back"
            )
            troubles.append(Trouble("sensor-not-watching", why, "map watched"))
        if self._pulse:
            if self._pulse.lost(self._emptied, dropped=lost):
                why = (
                    "the programs no longer tell of the watch's own connect, so that accesses are not seen: they were "
                    "detached, or their records are taken away; restart the watch"
                )
                troubles.append(Trouble("sensor-not-watching", why, f"ebpf ({self.hook})"))
            self._pulse.beat(now)
        return troubles

    def losses(self) -> Lost:
        """By the programs' counters. ebpf-missed: while a program was held up; ebpf-flood: of floods that were so many
        that nobody knows whose they were.
        """
        counts = self._sensor.counts()
        places = {
            "ebpf-ring": counts[Counter.DROPPED],
            "ebpf-missed": self._sensor.missed,
            "ebpf-undecided": self._overflowed,
            "ebpf-flood": self._sensor.missing + self._forgotten,
        }
        if self.requests:
            places |= self.requests.lost | {"requests-ring": counts[Counter.STREAMS_DROPPED]}
        return Lost(places, rejected=self._sensor.rejected)

    def blind_spots(self, inventory: Inventory) -> list[BlindSpot]:  # noqa: ARG002 - the rung alone decides
        """What this rung cannot see."""
        return blind_spots(self.hook)

    def close(self) -> list[str]:
        """Takes the programs away; nothing else of the host was changed."""
        if self.requests:
            self.requests.close()
        self._sensor.close()
        if self._pulse:
            self._pulse.close()
        self._runtime.release()
        return []

    def _is_undecided(self, record: Record) -> bool:
        """Whether neither a socket that was found nor a name of the catalogue's is what it reached."""
        if record.family != AF_UNIX or self._inventory is None:
            return False
        # A listener that is known decides alone: its file's inode may have been another socket's a moment ago.
        keys = identities.of_record(record)
        if not self._known.isdisjoint(keys[:1] if record.reached.listener else keys):
            return False
        name = record.bound[2:]
        if name.startswith(b"\0"):
            return self._inventory.catalogue.abstract(text_of(name[1:])) is None
        return self._inventory.catalogue.path(text_of(name.partition(b"\0")[0])) is None

    def _told_of(self, record: Record, offset: int) -> Told:
        file = None
        if record.result < 0 and not record.reached.file and record.family == AF_UNIX:
            file = file_of(record, self._mounts)
        document = document_of(record, rung=self.hook, boot=self._boot, offset=offset, file=file)
        return Told(document, Moment(record.who.pid, record.who.start, record.who.time))

    def _remember(self, record: Record) -> None:
        pid = record.who.pid
        kin = kin_of(record)
        self._last[kin] = record
        self._last.move_to_end(kin)
        if len(self._last) > _MOST_KINS:
            self._last.popitem(last=False)
        if record.reached.client:
            self._told.add(_held_by(record.reached.client, pid))

    def _fold(self) -> None:
        """One document for all accesses of a kind that were counted only, with what its last whole one told."""
        counted, self._counted = self._counted, Counted()
        counted.update(self._sensor.folded())
        offset, now = time.time_ns() - time.monotonic_ns(), time.monotonic_ns()
        for kin, accesses in counted.items():
            record = self._last.get(kin)
            if record is None:
                self._forgotten += accesses
            elif self.wants_discovery and record.result >= 0 and self._is_undecided(record):
                self._counted[kin] += accesses
            else:
                told = self._told_of(record, offset)
                told.document["_id"] += f"+{now}"
                put(told.document, "sockwarden.loss.folded", accesses)
                self._folded.append(told)


def _held_by(client: int, pid: int) -> int:
    """A connection and who has it, in one number, which takes less memory than two."""
    return client << 32 | pid


def _event(record: Record) -> ProcessEvent:
    who = record.who
    around = Surroundings(record.cgroup, who.mount_ns or None, who.pid_ns or None)
    return ProcessEvent(
        _KINDS[record.kind],
        who.pid,
        # A fork is told when the child is ready; it is as old as its start says.
        who.start if record.kind is Kind.FORK else who.time,
        parent=who.parent,
        name=who.comm.decode("utf-8", "backslashreplace"),
        start=who.start,
        caller=record.reached.connector,
        program=_program(record) if record.kind is Kind.EXEC else None,
        file=(device_text(record.file[0]), record.file[1]) if record.file[1] else None,
        around=around if record.kind in _PLACED else None,
    )


def _program(record: Record) -> Program:
    command, cut = record.command, record.command_cut
    count = command.removesuffix(b"\0").count(b"\0") + 1 if command and not cut else None
    return Program(record.executable, command, record.directory, record.who.euid, count, cut)
