"""A watch: a source to sinks, until it is told to end. One loop, one thread: what waits, waits in the kernel's buffers,
and what these cannot hold is counted there.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from sockwarden.detect import Detection, Engine
from sockwarden.document import Document, get
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who
from sockwarden.errors import InputError
from sockwarden.health import Trouble, document_of
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.gap import Gap, RunState, ToldBefore, boot_id, log_of, unrecorded
from sockwarden.pipeline.live import Live, local_host, reaches
from sockwarden.pipeline.looking import Looking
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.running import Running, announce, withdraw
from sockwarden.pipeline.source import LiveSource, Looker, Opened, described
from sockwarden.pipeline.timer import Timer
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.sensors.limits import BlindSpot, Lost, Unwatched
from sockwarden.sinks.live import Status
from sockwarden.sockets import Catalogue, Resolver
from sockwarden.sockets.changes import Changes
from sockwarden.sockets.discovery import Discovery
from sockwarden.sockets.inventory import Inventory

_TURN_SECONDS, _QUIET_TURN_SECONDS = 0.25, 1.0
"""How long a turn waits, and how long it judges; how long it waits while nothing happens."""
_QUIET_AFTER = 2.0
"""Seconds after the last access: what waits for its time is delivered by then."""
_BETWEEN_CHECKS = 0.5
"""Seconds, however often others change what the source depends on."""
_SHARE = 5
"""A discovery is followed by a pause of so many times what it took."""
_BETWEEN_DISCOVERIES = 0.1
"""Seconds: whoever changes a folder of his again and again must not keep the watch busy with that."""
_SETTLING = 1.1
"""Seconds after which a socket that went out of sight is looked for again."""
_MOST_BEFORE = 20_000
"""Accesses of the last run that are looked at for what the log tells again."""
_LAST_SECONDS = 2.0
"""How long what has come is still judged at the end: a flood must not keep the watch from ending."""
MOST_REMEMBERED = 1 << 14
"""Alerts of which a copy makes none again: the kernel sends each record once, and the store knows what came before."""


class Watch:
    """One run. `start` puts everything in place, `turn` does what there is to do, `stop` leaves the host as it was.

    opened   the source that it watches by
    lookers  what looks at the host from time to time, beside it
    state    folder in which a run notes how far it has watched
    runtime  folder in which the doctor says that it tries, and this watch by what it watches
    tell     called with lines for a person
    losses   what the source lost, as of the last check
    """

    def __init__(
        self,
        detections: Sequence[Detection],
        *,
        catalogue: Catalogue,
        opened: Opened,
        lookers: Sequence[Looker] = (),
        delivery: Delivery,
        state: Path,
        runtime: Path,
        tell: Callable[[str], None],
    ) -> None:
        self.delivery = delivery
        self.inventory = Inventory(catalogue)
        self.losses = Lost()
        self._catalogue = catalogue
        self._source = opened.source
        self._began, self._recorder = opened.began, opened.recorder
        self._looking = Looking(lookers)
        self._state = state
        self._runtime = runtime
        self._tell = tell
        self._discovery = Discovery(catalogue)
        self._changes = Changes()
        self._unwatched: set[str] = set()
        self._limits_told: set[str] = set()
        self._lost_before = 0
        self._errors_told: set[str] = set()
        self._evicted_told = 0
        self._folded_told = 0
        self._containers = Containers()
        self._cache = ProcessCache(self._containers)
        self._requests = opened.source.requests
        who = Who(self._cache, self._containers)
        resolver = Resolver(catalogue, self.inventory)
        self._live = Live(resolver, who, lambda: self._engine, runtime, lambda: self.inventory, self._requests)
        self._engine = Engine(detections, most_remembered=MOST_REMEMBERED)
        self._wanted = wanted_by((detection.required_literals for detection in detections), catalogue)
        self._last_run = RunState.load(state)
        self._run = RunState(boot_id(), time.time())
        self._selector = selectors.DefaultSelector()
        self._timers = (Timer(2, self._check), Timer(60, self._discover), Timer(5, self._note_progress))
        self._busy = self._asked = self._changed = self._caught_up = False
        self._checked = self._discovered = self._took = self._happened = 0.0

    @property
    def source(self) -> LiveSource:
        """What it watches by."""
        return self._source

    @property
    def unread(self) -> int:
        """Programs that had ended before /proc could be read."""
        return self._cache.unread

    def status(self) -> Status:
        """How it is, for people."""
        delivery, counts = self.delivery, self.delivery.counts
        lost = self.losses.total + delivery.keeper.dropped + delivery.undelivered
        sockets = len(self.inventory.live())
        numbers = counts.accesses, counts.requests, counts.alerts, lost, counts.folded
        return Status(described(self._source), sockets, *numbers)

    def blind_spots(self) -> list[BlindSpot]:
        """What it cannot see."""
        return self._source.blind_spots(self.inventory)

    def start(self) -> None:
        """Looks what there is to watch, and reads what was recorded since the last run. Where it raises, the source is
        closed.
        """
        try:
            announce(self._runtime, Running(os.getpid(), self._source.name, self._source.hook))
            self.delivery.reads_requests(bool(self._requests and self._requests.are_read))
            self._open_processes()
            self._discover()
            if self._last_run:
                self._catch_up(self._last_run)
            self._caught_up = True
            self._note_progress()
            self.poll(*self._source.filenos(), *([self._requests.fileno()] if self._requests else ()))
            self.poll(self._changes.fileno())
        except BaseException:
            self.stop("an error at its start")
            raise

    def turn(self) -> None:
        """Waits for events, no longer than a second, and handles what there is, for a quarter of one: however much
        comes, whoever tells the watch to end is heard.
        """
        self._selector.select(self._patience())
        # Also before events are read: a process may be gone the moment after its access.
        self._follow_processes()
        self._busy = self._source.receive()
        if self._busy:
            self._happened = time.monotonic()
            self._judge(self._happened + _TURN_SECONDS)
            self._busy = self._source.receive()
        if not self._busy:
            self.delivery.accesses(self._live.accesses(self._source.expire(int(time.time() * 1000))))
        self._ask()
        self._changed |= self._changes.read()
        self._report(self._changes.troubles())
        now = time.monotonic()
        self._look_around(now)
        for timer in self._timers:
            timer.turn(now)
        self.delivery.keeper.grow(self._engine.groups.grown())
        self.delivery.tick(now)
        self._engine.groups.end(self.delivery.keeper.ended())

    def _ask(self) -> None:
        """Judges what was asked."""
        now = time.monotonic()
        self._asked = bool(self._requests and self._requests.receive(now))
        if self._requests and self._asked:
            self._happened = now
            # No second look here: the accesses of what has come meanwhile are to be judged before it, in the next turn.
            self.delivery.accesses(self._live.accesses(self._requests.take(now + _TURN_SECONDS)))

    def _patience(self) -> float:
        """How long to wait for events: not at all while something waits to be judged or is due."""
        if self._busy or self._asked or self._looking.waits:
            return 0
        if self._changed or self._source.wants_discovery:
            return min(_TURN_SECONDS, max(0, self._discovered + self._pause - time.monotonic()))
        waits = self.inventory.unsettled or (self._requests and self._requests.waits)
        quiet = time.monotonic() > self._happened + _QUIET_AFTER and not waits
        return _QUIET_TURN_SECONDS if quiet else _TURN_SECONDS

    @property
    def _pause(self) -> float:
        """Between two discoveries, in seconds."""
        return max(_BETWEEN_DISCOVERIES, _SHARE * self._took)

    def _look_around(self, now: float) -> None:
        """What changes call for, not more often than it can be borne: others decide how often things change."""
        if self._source.wants_check and now >= self._checked + _BETWEEN_CHECKS:
            self._check()
        since = now - self._discovered
        called_for = self._changed or self._source.wants_discovery
        if (called_for and since >= self._pause) or (self.inventory.unsettled and since >= max(_SETTLING, self._pause)):
            self._discover()
        # What an earlier turn found: by now the source has read what had come before that, and may have told of it.
        if self._looking.waits:
            self._follow_processes()
            found = self._looking.take(now + _TURN_SECONDS)
            self.delivery.accesses(self._live.accesses(each for each in found if not self._is_told(each.document)))
        self._looking.look(now, self.inventory)
        self._say_limits()

    def _say_limits(self) -> None:
        """What a look could not look at, once while that lasts."""
        limits = set(self._looking.limits)
        for limit in sorted(limits - self._limits_told):
            self._tell(f"who holds a connection is not known of all: {limit}")
        self._limits_told = limits

    def _is_told(self, document: Document) -> bool:
        """Whether the source told of this connection and its holder already."""
        client, pid = get(document, "sockwarden.connection.inode"), get(document, "process.pid")
        return isinstance(client, int) and isinstance(pid, int) and self._source.has_told(client, pid)

    def change(self, detections: Sequence[Detection], catalogue: Catalogue) -> None:
        """Takes over other rules and sockets."""
        self._engine.close()
        # Other rules end no suppression window.
        self._engine = Engine(detections, most_remembered=MOST_REMEMBERED, groups=self._engine.groups)
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._discovery, self.inventory = Discovery(catalogue), Inventory(catalogue)
            self._live.resolver = Resolver(catalogue, self.inventory)
            self._discover()

    def stop(self, reason: str) -> None:
        """Judges what has come, takes the source away, and lets go of everything. reason: why, for the next start."""
        with ExitStack() as last:
            last.callback(self._say_losses)
            last.callback(self._close)
            last.callback(self._give_back)
            end = time.monotonic() + _LAST_SECONDS
            with suppress(InputError):
                if self._source.wants_discovery:
                    self._discover()
            with suppress(InputError):
                while self._source.receive() and time.monotonic() < end:
                    self._judge(end)
                rest = self._source.last(end)
                self._follow_processes()
                self.delivery.accesses(self._live.accesses(rest))
                if self._requests:
                    self.delivery.accesses(self._live.accesses(self._requests.last(end)))
                self._busy = self._source.receive()
                if self._caught_up:
                    self._check()
            if self._busy:
                self._tell("more accesses had come than could be judged before the end; the next start tells of them")
            self._run.ended = reason
            self._note_progress()

    def _say_losses(self) -> None:
        """The last word, where not everything was told one by one."""
        self.losses = self._source.losses()
        status = self.status()
        if status.lost or status.folded:
            self._tell(f"ended: {status.line().plain}")

    def _give_back(self) -> None:
        withdraw(self._runtime)
        self._source.processes.close()
        for failed in self._source.close():
            self._tell(f"could not be put back: {failed}")

    def _close(self) -> None:
        self._changes.close()
        self._containers.close()
        self._selector.close()
        self.delivery.keeper.grow(self._engine.groups.grown())
        self._engine.close()
        self.delivery.close()

    def _discover(self) -> None:
        """Looks what sockets there are, and makes the source and the watched folders fit."""
        # What is held for this discovery is judged in the next turn, which then comes at once.
        self._busy |= self._source.wants_discovery
        self._changed, begun = False, time.monotonic()
        found = self._discovery.discover()
        self.inventory.refresh(found, time.time(), self._discovery.limits)
        unwatched = self._source.follow(self.inventory)
        self._source.discovered(begun)
        self._changes.follow(self.inventory)
        self._report(self.inventory.troubles())
        self._say_unwatched(unwatched)
        self._discovered = time.monotonic()
        self._took = self._discovered - begun

    def _say_unwatched(self, unwatched: Sequence[Unwatched]) -> None:
        """Sockets that the source cannot watch, each told once."""
        for one in unwatched:
            if one.path not in self._unwatched:
                self._tell(f"not watched: {one.path}\n{one.why}")
        self._unwatched = {one.path for one in unwatched}

    def poll(self, *descriptors: int) -> None:
        """Has a turn wake up when one of these has something to read; two sources of events may share one."""
        for descriptor in {*descriptors} - {*self._selector.get_map()}:
            self._selector.register(descriptor, selectors.EVENT_READ)

    def _open_processes(self) -> None:
        try:
            self._source.processes.open()
            self.poll(self._source.processes.fileno())
        except InputError as error:
            self._tell(f"{error}\nWho made an access is then known only while the process still runs.")
        self._cache.prime()

    def _follow_processes(self) -> None:
        processes = self._source.processes
        if not processes.is_open:
            return
        while events := processes.receive():
            self._cache.feed(events)
        if processes.lost > self._lost_before:
            self._lost_before = processes.lost
            self._cache.prime()

    def _judge(self, end: float) -> None:
        """Judges what waits, until a time of time.monotonic."""
        # Processes after events were read: what one did before its access is then known when that is judged.
        self._follow_processes()
        self.delivery.accesses(self._live.accesses(self._source.take(end)))

    def _report(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            document = document_of(trouble, time.time())
            document["host"] |= local_host()
            self.delivery.alerts(list(self._engine.judge(document)))

    def _check(self) -> None:
        self._checked = time.monotonic()
        self._report(self._source.check(self._checked))
        self.delivery.reads_requests(bool(self._requests and self._requests.are_read))
        self._report(self._floods())
        self.losses = self._source.losses()
        for error in self._engine.counts.errors.keys() - self._errors_told:
            self._errors_told.add(error)
            self._tell(f"not judged: {error}")
        if (evicted := self._engine.groups.evicted) > self._evicted_told:
            self._tell(f"more suppression groups than can be open at once: {evicted:,} were closed before their time")
            self._evicted_told = evicted

    def _floods(self) -> list[Trouble]:
        """Accesses since the last time that were counted only; whose they were their documents say."""
        folded = self.delivery.counts.folded
        fresh, self._folded_told = folded - self._folded_told, folded
        if not fresh:
            return []
        why = f"{fresh:,} accesses were counted only, not told one by one: a process floods"
        return [Trouble("events-lost", why, f"{folded:,} in all")]

    def _note_progress(self) -> None:
        """Notes that everything up to now was judged; while something waits, only why the run ended."""
        if not self._caught_up:
            return
        if not self._busy and not self._source.wants_discovery:
            self._run.seen = time.time()
        # The folder is the store's too, which tells when it cannot be written.
        with suppress(OSError):
            self._run.save(self._state)

    def _catch_up(self, last: RunState) -> None:
        """What was recorded from the last run until this one began, each access once."""
        paths = {live.path for live in self.inventory.live() if live.path}
        gap = Gap(
            last,
            self._began,
            log=log_of(self._recorder.auditd),
            recorded=unrecorded(self._recorder.rules, paths),
            by_audit=self._source.name == "audit",
        )
        replay = Replay(self._catalogue, self._wanted, known=self.inventory)
        keeper = self.delivery.keeper
        before = ToldBefore(last, keeper.newest(_MOST_BEFORE))
        for document in filter(reaches, gap.documents(replay)):
            if not keeper.known(str(document["_id"])) and not before.has(document):
                self.delivery.accesses([self._live.judge(document)])
        if trouble := gap.trouble():
            self._report([trouble])
