"""A watch: sensors to sinks, until it is told to end. One loop, one thread: what waits, waits in the kernel's buffers,
and what these cannot hold is counted there.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from stat import S_IWGRP

from sockwarden.detect import Detection, Engine
from sockwarden.enrich import Containers, ProcessCache, Who
from sockwarden.errors import InputError
from sockwarden.health import Trouble, document_of
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.gap import Gap, RunState, boot_id, log_of, unrecorded
from sockwarden.pipeline.live import Live, local_host, reaches
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.sensors.audit import AuditSensor, BlindSpot, Losses, Rule, Unwatched, list_rules
from sockwarden.sensors.proc_connector import ProcConnector
from sockwarden.sinks import Status
from sockwarden.sockets import Catalogue, Changes, Discovery, Inventory, Resolver

_MOST_DATAGRAMS = 2048
"""Read at once before anything else is looked at: some 300 accesses."""
_PART = 64
"""Judged before the time is looked at."""
_TURN_SECONDS = 0.25
"""How long a turn waits, and how long it judges."""
_BETWEEN_CHECKS = 0.5
"""Seconds, however often audit is changed."""
_SHARE = 5
"""A discovery is followed by a pause of so many times what it took."""


_BETWEEN_DISCOVERIES = 0.1
"""Seconds: whoever changes a folder of his again and again must not keep the watch busy with that."""
_SETTLING = 1.1
"""Seconds after which a socket that went out of sight is looked for again."""
_LAST_SECONDS = 2.0
"""How long what has come is still judged at the end: a flood must not keep the watch from ending."""
MOST_REMEMBERED = 1 << 14
"""Alerts of which a copy makes none again: the kernel sends each record once, and the store knows what came before."""


class _Timer:
    """Runs something every so many seconds, first at once."""

    def __init__(self, period: float, run: Callable[[], None]) -> None:
        self._period = period
        self._run = run
        self._due = 0.0

    def turn(self, now: float) -> None:
        if now >= self._due:
            self._due = now + self._period
            self._run()


class Watch:
    """One run. `start` puts everything in place, `turn` does what there is to do, `stop` leaves the host as it was.

    sensor   the audit sensor, not open yet
    state    folder in which a run notes how far it has watched
    runtime  folder in which the doctor says that it tries
    tell     called with lines for a person
    losses   what the audit sensor lost, as of the last check
    """

    def __init__(
        self,
        detections: Sequence[Detection],
        *,
        catalogue: Catalogue,
        sensor: AuditSensor,
        delivery: Delivery,
        state: Path,
        runtime: Path,
        tell: Callable[[str], None],
    ) -> None:
        self.delivery = delivery
        self.inventory = Inventory(catalogue)
        self.losses = Losses(0, 0, 0, 0)
        self._catalogue = catalogue
        self._sensor = sensor
        self._state = state
        self._tell = tell
        self._discovery = Discovery(catalogue)
        self._changes = Changes()
        self._unwatched: set[str] = set()
        self._processes = ProcConnector()
        self._lost_before = 0
        self._errors_told: set[str] = set()
        self._evicted_told = 0
        self._containers = Containers()
        self._cache = ProcessCache(self._containers)
        self._live = Live(
            Resolver(catalogue, self.inventory), Who(self._cache, self._containers), lambda: self._engine, runtime
        )
        self._engine = Engine(detections, most_remembered=MOST_REMEMBERED)
        self._wanted = wanted_by((detection.required_literals for detection in detections), catalogue)
        self._last_run = RunState.load(state)
        self._run = RunState(boot_id(), time.time())
        self._selector = selectors.DefaultSelector()
        self._timers = (_Timer(2, self._check), _Timer(60, self._discover), _Timer(5, self._note_progress))
        self._waiting: deque[bytes] = deque()
        self._busy = self._changed = self._caught_up = False
        self._checked = self._discovered = self._took = 0.0

    @property
    def processes_lost(self) -> int:
        """How often process events were lost."""
        return self._processes.lost

    @property
    def incomplete(self) -> int:
        """Audit events with records missing."""
        return self._live.incomplete

    @property
    def rejected(self) -> int:
        """Datagrams that are no audit record."""
        return self._live.rejected

    @property
    def unread(self) -> int:
        """Programs that had ended before /proc could be read."""
        return self._cache.unread

    def status(self) -> Status:
        """How it is, for people."""
        delivery, counts = self.delivery, self.delivery.counts
        lost = (self.losses.dropped or 0) + self.losses.kernel + delivery.keeper.dropped + delivery.undelivered
        return Status("audit", len(self.inventory.live()), counts.accesses, counts.alerts, lost)

    def blind_spots(self) -> list[BlindSpot]:
        """What it cannot see."""
        found = self.inventory.live()
        kinds = {live.kind for live in found}
        gids = {live.gid for live in found if live.mode & S_IWGRP}
        return self._sensor.blind_spots(gids, has_tcp="inet" in kinds, has_abstract="abstract" in kinds)

    def start(self) -> None:
        """Puts rules in place, listens, and reads what was recorded since the last run. Raises InputError where the
        sensor cannot work; then the host is as it was.
        """
        # The gap ends here: what changes from now on is our own doing.
        began = time.time()
        leftover = self._sensor.open()
        try:
            if leftover:
                of = f" (pid {leftover.pid})" if leftover.pid else ""
                self._tell(f"taken over: {len(leftover.rules)} audit rules that a killed watch{of} had left")
            present = list_rules() if self._last_run else []
            self._open_processes()
            self._discover()
            self._catch_up(present, began)
            self._caught_up = True
            self._note_progress()
            self._selector.register(self._sensor, selectors.EVENT_READ)
            self._selector.register(self._changes, selectors.EVENT_READ)
        except BaseException:
            self.stop("an error at its start")
            raise

    def turn(self) -> None:
        """Waits for events, no longer than a quarter of a second, and handles what there is, for about as long: however
        much comes, whoever tells the watch to end is heard.
        """
        self._selector.select(0 if self._busy else _TURN_SECONDS)
        # Also before records are read: a process may be gone the moment after its access.
        self._follow_processes()
        self._busy = bool(self._waiting) or self._receive()
        if self._busy:
            self._judge(time.monotonic() + _TURN_SECONDS)
        else:
            self.delivery.accesses(self._live.expire(int(time.time() * 1000)))
        self._changed |= self._changes.read()
        self._report(self._changes.troubles())
        now = time.monotonic()
        self._look_around(now)
        for timer in self._timers:
            timer.turn(now)
        self.delivery.keeper.grow(self._engine.groups.grown())
        self.delivery.tick(now)
        self._engine.groups.end(self.delivery.keeper.ended())

    def _look_around(self, now: float) -> None:
        """What changes call for, not more often than it can be borne: others decide how often things change."""
        if self._live.reconfigured and now >= self._checked + _BETWEEN_CHECKS:
            self._live.reconfigured = False
            self._check()
        pause = max(_BETWEEN_DISCOVERIES, _SHARE * self._took)
        since = now - self._discovered
        if (self._changed and since >= pause) or (self.inventory.unsettled and since >= max(_SETTLING, pause)):
            self._discover()

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
        """Takes the rules away, delivers what has come, and lets go of everything. reason: why, for the next start."""
        with ExitStack() as last:
            last.callback(self._close)
            last.callback(self._give_back)
            end = time.monotonic() + _LAST_SECONDS
            with suppress(InputError):
                while time.monotonic() < end and (self._waiting or self._receive()):
                    self._judge(end)
            self._busy = bool(self._waiting)
            if self._busy:
                self._tell("more accesses had come than could be judged before the end; the next start tells of them")
            self._run.ended = reason
            self._note_progress()

    def _receive(self) -> bool:
        self._waiting.extend(self._sensor.receive(_MOST_DATAGRAMS))
        return bool(self._waiting)

    def _give_back(self) -> None:
        for failed in self._sensor.close():
            self._tell(f"could not be put back: {failed}\n`sockwarden setup audit remove` tries again.")

    def _close(self) -> None:
        self._processes.close()
        self._changes.close()
        self._containers.close()
        self._selector.close()
        self.delivery.keeper.grow(self._engine.groups.grown())
        self._engine.close()
        self.delivery.close()

    def _discover(self) -> None:
        """Looks what sockets there are, and makes rules and folders fit."""
        self._changed, begun = False, time.monotonic()
        found = self._discovery.discover()
        self.inventory.refresh(found, time.time(), self._discovery.limits)
        unwatched = self._sensor.follow(self.inventory.paths(), self.inventory.folders())
        self._changes.follow(self.inventory)
        self._report(self.inventory.troubles())
        self._say_unwatched(unwatched)
        self._discovered = time.monotonic()
        self._took = self._discovered - begun

    def _say_unwatched(self, unwatched: Sequence[Unwatched]) -> None:
        """Sockets without rules, each told once."""
        for one in unwatched:
            if one.path not in self._unwatched:
                self._tell(f"not watched: {one.path}\n{one.why}")
        self._unwatched = {one.path for one in unwatched}

    def _open_processes(self) -> None:
        try:
            self._processes.open()
            self._selector.register(self._processes, selectors.EVENT_READ)
        except InputError as error:
            self._tell(f"{error}\nWho made an access is then known only while the process still runs.")
        self._cache.prime()

    def _follow_processes(self) -> None:
        if not self._processes.is_open:
            return
        while events := self._processes.receive():
            self._cache.feed(events)
        if self._processes.lost > self._lost_before:
            self._lost_before = self._processes.lost
            self._cache.prime()

    def _judge(self, end: float) -> None:
        """Judges what waits, until a time of time.monotonic."""
        # Processes after records were read: what one did before its access is then known when that is judged.
        self._follow_processes()
        while self._waiting and time.monotonic() < end:
            part = [self._waiting.popleft() for _ in range(min(_PART, len(self._waiting)))]
            self.delivery.accesses(self._live.take(part))

    def _report(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            document = document_of(trouble, time.time())
            document["host"] |= local_host()
            self.delivery.alerts(list(self._engine.judge(document)))

    def _check(self) -> None:
        self._checked = time.monotonic()
        self._report(self._sensor.check(self._checked))
        self.losses = self._sensor.losses()
        for error in self._engine.errors.keys() - self._errors_told:
            self._errors_told.add(error)
            self._tell(f"not judged: {error}")
        if (evicted := self._engine.groups.evicted) > self._evicted_told:
            self._tell(f"more suppression groups than can be open at once: {evicted:,} were closed before their time")
            self._evicted_told = evicted

    def _note_progress(self) -> None:
        """Notes that everything up to now was judged; while records wait, only why the run ended."""
        if not self._caught_up:
            return
        if not self._busy:
            self._run.seen = time.time()
        # The folder is the store's too, which tells when it cannot be written.
        with suppress(OSError):
            self._run.save(self._state)

    def _catch_up(self, present: Sequence[Rule], began: float) -> None:
        """What was recorded from the last run until this one began, each access once. present: rules that it found."""
        if self._last_run is None:
            return
        paths = {live.path for live in self.inventory.live() if live.path}
        recorded = unrecorded(present, paths)
        gap = Gap(self._last_run, began, log=log_of(self._sensor.status().pid), recorded=recorded)
        replay = Replay(self._catalogue, self._wanted, known=self.inventory)
        for document in filter(reaches, gap.documents(replay)):
            if not self.delivery.keeper.known(str(document["_id"])):
                self.delivery.accesses([self._live.judge(document)])
        if trouble := gap.trouble():
            self._report([trouble])
