"""The process cache: who is who, fed by a sensor's process events, primed from /proc, kept for a while after exit.

A fork copies what the caller handed down. From then on the eBPF sensor's events say all that is asked: the program at
an exec, cgroup and namespaces at a fork, an exec and a move. The process connector's say only that something happened:
an exec and a change of name then read /proc, and a process that was gone before keeps what its fork handed down, its
container too; the rest stays unknown. The parent is the one at the fork: a later reparenting does not change it. All
times are ns of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from sockwarden.enrich import clocks, installed, procfs
from sockwarden.enrich.component import component_of
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.event import Moment, ProcessEvent
from sockwarden.enrich.generations import Generations
from sockwarden.enrich.membership import Membership, installs
from sockwarden.enrich.process import Image, Place, Process

_MOST_ENDED = 20_000
_MOST_LIVING = 100_000
_SLACK = 20_000_000
"""/proc gives a start in ticks of 10 ms; audit stamps with the coarse clock, up to 10 ms behind."""


class ProcessCache:
    """Processes by pid and time.

    captured  execs whose program an event told
    unread    execs of processes that were gone before /proc could be read
    adopted   processes that no fork had told of
    changes   counts what may have changed anything of what is known of any of them, but for the time that one ended at
    """

    def __init__(self, containers: Containers, *, most_ended: int = _MOST_ENDED, most_living: int = _MOST_LIVING):
        self.captured = self.unread = self.adopted = self.changes = 0
        self._containers = containers
        self._known = Generations(most_ended, most_living)
        self.host = procfs.host()
        """Namespaces of the host; None each where they cannot be read."""
        self._membership = Membership(containers, self.host, self._known.every_latest)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def evicted(self) -> int:
        """Living or lately ended ones that had to go for the cache's bounds."""
        return self._known.evicted

    def prime(self) -> None:
        """Takes in what runs now; again after events were lost. What is cached and runs no more has ended."""
        self.changes += 1
        found = [(stat.start, pid) for pid in procfs.processes() if (stat := procfs.stat(pid))]
        now = time.monotonic_ns()
        pids = {pid for _, pid in found}
        for gone in [each for each in self._known.every_latest() if each.pid not in pids]:
            self._known.end(gone, now)
        for _, pid in sorted(found):
            known = self._known.latest(pid)
            process = self._adopt(pid)
            if process and process is known:
                if self._has_changed(process):
                    self._exec_read(process, now)
                else:
                    self._look_around(process)
        self._known.forget(now)

    def feed(self, events: Iterable[ProcessEvent]) -> None:
        """Takes in events, in their order."""
        last = 0
        for event in events:
            last = event.time
            if event.kind == "fork":
                self._fork(event)
            elif process := self._of(event):
                self._known.use(process)
                self._happened(process, event)
        if last:
            self.changes += 1
            self._known.forget(last)

    def at(self, pid: int, time_ms: int) -> Process | None:
        """The process that had this pid at a moment, in milliseconds since the epoch as audit stamps it; None where
        none is known. Feed first what the sensor has.
        """
        return self.find(Moment(pid, 0, clocks.of_wall(time_ms * 1_000_000)))

    def find(self, moment: Moment, around: procfs.Surroundings | None = None) -> Process | None:
        """The process of a moment; None where none is known. With its start it is that one and no other. `around` is
        what the kernel told of where it lived then: it may have moved since its last event, and of one that is not
        known it says at least that.
        """
        pid, start, when = moment
        process = self._by_start(pid, start) if start else self._by_time(pid, when)
        if process is None:
            adopted = self._adopt(pid)
            if start:
                process = self._by_start(pid, start) if adopted else None
            elif adopted and adopted.start <= when + _SLACK:
                process = adopted
        if process:
            self._known.use(process)
            if around:
                self._place(process, around)
            elif process.end is None and not process.read:
                self._look_around(process)
        elif start and around:
            process = self._unknown(pid, start, None)
            self._place(process, around)
            self._note_inside(process, start)
        return process

    def _by_time(self, pid: int, when: int) -> Process | None:
        living = (each for each in self._known.of(pid) if each.end is None or each.end >= when)
        return next((each for each in living if each.start <= when + _SLACK), None)

    def _by_start(self, pid: int, start: int) -> Process | None:
        """The process of a pid with an exact start; one whose start is known from /proc alone gains it."""
        nearest = None
        for process in self._known.of(pid):
            if process.exact:
                if process.start == start:
                    return process
            elif nearest is None or abs(process.start - start) < abs(nearest.start - start):
                nearest = process
        if nearest is None:
            return None
        if abs(start - nearest.start) > _SLACK and not self._slept(nearest, start):
            return None
        nearest.start, nearest.exact = start, True
        return nearest

    def _slept(self, process: Process, start: int) -> bool:
        """Whether a process, alone with its pid, seems to have started too early because the machine slept since then:
        /proc tells the start by CLOCK_BOOTTIME.
        """
        return process.end is None and 0 < start - process.start <= clocks.asleep() + _SLACK and self._runs(process)

    def _of(self, event: ProcessEvent) -> Process | None:
        """The process that an event other than a fork is about."""
        if not event.start:
            process = self._known.latest(event.pid)
            if process is None and event.kind != "exit":
                process = self._adopt(event.pid)
            return process if process and event.time >= process.start - _SLACK else None
        process = self._by_start(event.pid, event.start)
        if process is None and event.kind != "exit" and self._adopt(event.pid):
            process = self._by_start(event.pid, event.start)
        if process is None and event.program:
            process = self._unknown(event.pid, event.start, self._parent(event.parent))
        return process

    def _unknown(self, pid: int, start: int, parent: Process | None) -> Process:
        """One whose fork was lost, and which is gone."""
        process = Process(pid, start, parent, born=start + clocks.asleep(), exact=True)
        if parent:
            self._inherit(process, parent)
        self.adopted += 1
        self.changes += 1
        self._known.enter(process)
        return process

    def _happened(self, process: Process, event: ProcessEvent) -> None:
        if event.kind == "exec" and event.program:
            self._exec_told(process, event, event.program)
        elif event.kind == "exec":
            self._exec_read(process, event.time)
        elif event.kind == "comm":
            process.name = event.name
            # Before its first exec only the runtime's own code runs in what a runtime forked, so this name is true.
            process.init |= bool(process.made_for) and event.name.startswith("runc:[")
            if process.inside is None and not event.start:
                self._look_around(process)
        elif event.kind == "cgroup":
            if event.around:
                self._place(process, event.around)
        else:
            self._known.end(process, event.time)

    def _fork(self, event: ProcessEvent) -> None:
        parent = self._parent(event.parent)
        if event.start:
            if known := self._by_start(event.pid, event.start):
                self._reparent(known, parent)
                return
        elif (known := self._known.latest(event.pid)) and known.end is None and event.time <= known.start + _SLACK:
            # Either older than what /proc said since, or /proc was quicker.
            if event.time >= known.start - _SLACK:
                known.start = event.time
                self._reparent(known, parent)
            return
        start = event.start or event.time
        process = Process(event.pid, start, parent, born=start + clocks.asleep(), exact=bool(event.start))
        if caller := (self._parent(event.caller) if event.caller else None) or parent:
            self._inherit(process, caller)
            process.read = caller.read and event.around is not None
        self._known.enter(process)
        if event.around:
            self._place(process, event.around)
            process.init = self._membership.is_prepared(process)

    def _parent(self, pid: int) -> Process | None:
        known = self._known.latest(pid)
        # A process whose first thread is gone lives on, though the connector told its exit.
        return known if known and known.end is None else self._adopt(pid) or known

    @staticmethod
    def _reparent(known: Process, parent: Process | None) -> None:
        """What /proc gave is the parent of now; a fork's event gives the one at the fork."""
        if parent and parent is not known and known not in parent.ancestors():
            known.parent = parent

    def _inherit(self, process: Process, caller: Process) -> None:
        process.claims = caller.claims
        process.name = caller.name
        process.image = caller.image
        process.place = caller.place
        process.container = caller.container
        process.evidence = caller.evidence
        process.inside = caller.inside
        process.home = caller.home if caller.container else caller.place.mount
        # What runs inside may have its parent's parent for a parent, the runtime outside: it is still its own caller's.
        if caller.inside is None:
            parent = process.parent or caller
            process.made_for = caller.made_for or self._membership.made_for(parent)

    def _place(self, process: Process, around: procfs.Surroundings) -> None:
        """Takes in what the kernel told of where a process lives."""
        place = process.place.after(around)
        if place != process.place or not process.read:
            self.changes += 1
            self._membership.settle(process, place)

    def _exec_told(self, process: Process, event: ProcessEvent, program: procfs.Program) -> None:
        self.captured += 1
        if program.executable is None and event.file:
            path = installed.path_of(process.pid, event.file)
            program = procfs.Program(
                path, program.command, program.directory, program.user, program.count, cut=program.cut
            )
        image = self._image(process.pid, event.time, program, event.file)
        self._replace(process, event.time)
        process.image = image
        process.name = event.name or process.name
        if event.around:
            self._place(process, event.around)
        process.read = True
        self._note_inside(process, event.time)

    def _exec_read(self, process: Process, when: int) -> None:
        # argv goes first when a process exits, so it is read first.
        program, around = procfs.program(process.pid), procfs.surroundings(process.pid)
        image = self._image(process.pid, when, program)
        # First by what was known before: a program may leave namespaces and cgroup sooner than /proc is read.
        self._replace(process, when)
        # Last, since it tells whether what was read before still was this process.
        stat = procfs.stat(process.pid)
        process.image = image if stat is None or self._is(process, stat) else Image(when)
        process.read = stat is not None and not stat.exiting and self._is(process, stat)
        if stat and process.read:
            process.name = stat.name
            self._settle(process, around)
        else:
            self.unread += 1
        self._note_inside(process, when)

    def _replace(self, process: Process, when: int) -> None:
        """What an exec changes, whatever the program is."""
        self._known.revive(process)
        process.before = process.image
        if process.init:
            process.container = process.container or process.made_for
            process.inside = when
        elif process.inside is None and self._membership.has_entered(process):
            process.inside = when
        process.made_for, process.init = None, False

    def _note_inside(self, process: Process, when: int) -> None:
        if process.inside is None and process.container and not self._membership.stays_outside(process):
            process.inside = when

    def _image(self, pid: int, when: int, program: procfs.Program, file: tuple[str, int] | None = None) -> Image:
        path = program.executable
        proven = None
        if path and installs(path):
            proven = installed.of_file(pid, path, file, when) if file else installed.of_process(pid, path)
        by_root = program.user == 0
        if path and proven and by_root and (component := component_of(path)):
            self._containers.learn(component, procfs.arguments(program.command), program.directory)
        return Image(
            when,
            path,
            program.command,
            program.directory,
            proven,
            by_root=by_root,
            count=program.count,
            cut=program.cut,
        )

    @staticmethod
    def _has_changed(process: Process) -> bool:
        """Whether it runs another program than cached: an exec was missed."""
        program = procfs.program(process.pid)
        return (program.executable, program.command) != (process.image.executable, process.image.command)

    def _look_around(self, process: Process) -> None:
        """Reads cgroup and namespaces anew, of a process that still runs."""
        around = procfs.surroundings(process.pid)
        if self._runs(process):
            self._settle(process, around)

    def _settle(self, process: Process, around: procfs.Surroundings) -> None:
        self.changes += 1
        self._membership.settle(process, Place(around.cgroup, around.mount, around.pids))

    def _runs(self, process: Process) -> bool:
        stat = procfs.stat(process.pid)
        return stat is not None and not stat.exiting and self._is(process, stat)

    @staticmethod
    def _is(process: Process, stat: procfs.Stat) -> bool:
        """Whether /proc speaks of this process, and not of a later one with its pid."""
        return abs(stat.start - process.born) <= _SLACK

    def _adopt(self, pid: int) -> Process | None:
        """The process that has this pid now, read from /proc, with its ancestors; None where there is none."""
        self.changes += 1
        chain: list[tuple[int, procfs.Stat]] = []
        while pid > 0 and len(chain) < 64 and (stat := procfs.stat(pid)):
            chain.append((pid, stat))
            known = self._known.latest(stat.parent)
            if known and known.end is None:
                break
            pid = stat.parent
        process = None
        for pid, stat in reversed(chain):
            parent = self._known.latest(stat.parent)
            process = self._take(pid, stat, parent if parent and parent.end is None else None)
        return process

    def _take(self, pid: int, stat: procfs.Stat, parent: Process | None) -> Process:
        known = self._known.latest(pid)
        if known and self._is(known, stat):
            if not stat.exiting:
                self._known.revive(known)
            return known
        start = stat.start - clocks.asleep()
        around, program = procfs.surroundings(pid), procfs.program(pid)
        process = Process(pid, start, parent=parent, name=stat.name, born=stat.start)
        process.image = self._image(pid, start, program)
        if parent:
            process.home = parent.home if parent.container else parent.place.mount
        if parent and parent.inside is not None:
            process.container, process.inside = parent.container, parent.inside
        if not stat.exiting:  # the cgroup (v1) of one that exits reads as `/`
            self._settle(process, around)
        self._note_inside(process, start)
        self.adopted += 1
        self._known.enter(process)
        return process
