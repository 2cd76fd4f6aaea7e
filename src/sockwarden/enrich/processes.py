"""The process cache: who is who, fed by the process connector, primed from /proc, kept for a while after exit.

A fork copies what the parent handed down and reads nothing; an exec and a change of name read /proc. A process that was
gone before it could be read keeps what its fork handed down, its container too; the rest stays unknown. The parent is
the one at the fork: a later reparenting does not change it. All times are ns of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from itertools import islice

from sockwarden.enrich import procfs
from sockwarden.enrich.component import component_of
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.event import ProcessEvent
from sockwarden.enrich.process import Image, Place, Process

_SECOND = 1_000_000_000
_KEPT = 60 * _SECOND
_MOST_ENDED = 20_000
_MOST_ENDED_BYTES = 64 << 20
_MOST_LIVING = 100_000
_SLACK = 20_000_000
"""/proc gives a start in ticks of 10 ms; audit stamps with the coarse clock, up to 10 ms behind."""
_MOST_NAMESPACES = 4096
_MOST_STAGES = 3
"""Forks from runc's command to the container's init (libcontainer's nsenter)."""
_DEEPEST = 16
"""Ancestors that a process holds after they left the cache."""


class ProcessCache:
    """Processes by pid and time.

    unread   execs of processes that were gone before /proc could be read
    adopted  processes that no event had told of
    evicted  living or lately ended ones that had to go for the cache's bounds
    """

    def __init__(self, containers: Containers, *, most_ended: int = _MOST_ENDED, most_living: int = _MOST_LIVING):
        self.unread = self.adopted = self.evicted = 0
        self._containers = containers
        self._most_ended = most_ended
        self._most_living = most_living
        self._latest: dict[int, Process] = {}
        self._earlier: dict[int, list[Process]] = {}
        self._members: dict[int, Process] = {}
        self._ended: deque[tuple[int, int, Process]] = deque()
        self._ended_bytes = 0
        self.host = procfs.host()
        """Namespaces of the host; None each where they cannot be read."""

    def __len__(self) -> int:
        return len(self._latest) + sum(map(len, self._earlier.values()))

    def prime(self) -> None:
        """Takes in what runs now; again after events were lost. What is cached and runs no more has ended."""
        found = [(stat.start, pid) for pid in procfs.processes() if (stat := procfs.stat(pid))]
        now = time.monotonic_ns()
        for pid in self._latest.keys() - {pid for _, pid in found}:
            self._end(self._latest[pid], now)
        for _, pid in sorted(found):
            known = self._latest.get(pid)
            process = self._adopt(pid)
            if process and process is known and self._has_changed(process):
                self._exec(process, now)
        self._forget(now)

    def feed(self, events: Iterable[ProcessEvent]) -> None:
        """Takes in events, in their order."""
        last = 0
        for event in events:
            last = event.time
            if event.kind == "fork":
                self._fork(event)
                continue
            process = self._latest.get(event.pid)
            if process is None and event.kind != "exit":
                process = self._adopt(event.pid)
            if process is None or event.time < process.start - _SLACK:
                continue
            if event.kind == "exec":
                self._exec(process, event.time)
            elif event.kind == "comm":
                process.name = event.name
                # Before its first exec only the runtime's own code runs in what a runtime forked, so this name is true.
                process.init |= bool(process.made_for) and event.name.startswith("runc:[")
                if process.inside is None:
                    self._look_around(process)
            elif process.end is None:
                self._end(process, event.time)
        if last:
            self._forget(last)

    def at(self, pid: int, time_ms: int) -> Process | None:
        """The process that had this pid at a moment, in milliseconds since the epoch as audit stamps it; None where
        none is known. Feed first what the connector has.
        """
        moment = time_ms * 1_000_000 - _offset()
        latest = self._latest.get(pid)
        generations = ([latest] if latest else []) + self._earlier.get(pid, [])[::-1]
        for process in generations:
            if process.start <= moment + _SLACK and (process.end is None or process.end >= moment):
                if process.end is None and not process.read:
                    self._look_around(process)
                return process
        adopted = self._adopt(pid)
        return adopted if adopted and adopted.start <= moment + _SLACK else None

    def moment(self, time_ms: int) -> int:
        """A time in milliseconds since the epoch as ns of CLOCK_MONOTONIC, by the clocks' distance now."""
        return time_ms * 1_000_000 - _offset()

    def _fork(self, event: ProcessEvent) -> None:
        known = self._latest.get(event.pid)
        parent = self._latest.get(event.parent) or self._adopt(event.parent)
        if known and known.end is None:
            if event.time < known.start - _SLACK:
                return  # older than what /proc said since
            if event.time <= known.start + _SLACK:
                # /proc was quicker: it gave the parent of now, the event gives the one at the fork.
                known.start = event.time
                if parent and parent is not known and known not in parent.ancestors():
                    known.parent = parent
                return
            self._end(known, event.time)
        process = Process(event.pid, event.time)
        if parent:
            process.parent = parent
            process.claims = parent.claims
            process.name = parent.name
            process.image = parent.image
            process.place = parent.place
            process.container = parent.container
            process.evidence = parent.evidence
            process.made_for = parent.made_for or self._made_for(parent)
            process.inside = parent.inside
            process.home = parent.home if parent.container else parent.place.mount
        self._enter(process)

    def _exec(self, process: Process, when: int) -> None:
        process.end = None  # a thread other than the first executed: the first one's exit was not the process's
        # argv goes first when a process exits, so it is read first.
        program, around = procfs.program(process.pid), procfs.surroundings(process.pid)
        image = self._image(process.pid, when, program)
        process.before = process.image
        # First by what was known before: a program may leave namespaces and cgroup sooner than /proc is read.
        if process.init:
            process.container = process.container or process.made_for
            process.inside = when
        elif process.inside is None and self._has_entered(process):
            process.inside = when
        process.made_for, process.init = None, False
        # Last, since it tells whether what was read before still was this process.
        stat = procfs.stat(process.pid)
        process.image = image if stat is None or self._is(process, stat) else Image(when)
        process.read = stat is not None and not stat.exiting and self._is(process, stat)
        if stat and process.read:
            process.name = stat.name
            self._settle(process, around)
        else:
            self.unread += 1
        if process.inside is None and process.container and not self._stays_outside(process):
            process.inside = when

    def _image(self, pid: int, when: int, program: procfs.Program) -> Image:
        component = component_of(program.executable) if program.executable else None
        installed = procfs.installed(pid, program.executable) if component and program.executable else None
        by_root = program.user == 0
        if component and installed and by_root:
            self._containers.learn(component, procfs.arguments(program.command), program.directory)
        return Image(
            when,
            program.executable,
            program.command,
            program.directory,
            installed,
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
        stat = procfs.stat(process.pid)
        if stat and not stat.exiting and self._is(process, stat):
            self._settle(process, around)

    def _settle(self, process: Process, around: procfs.Surroundings) -> None:
        process.read = True
        process.place = Place(
            process.place.cgroup if around.cgroup == process.place.cgroup else around.cgroup, around.mount, around.pids
        )
        container = self._containers.of_cgroup(around.cgroup) if around.cgroup else None
        process.claims = container is not None and not self._is_shown(process, container)
        if process.claims:
            container = None
        process.evidence = "cgroup"
        if container is None:
            container = self._container_of_mount(process)
            process.evidence = "namespaces" if container else "lineage"
        if container or process.inside is None:
            process.container = container
        if process.evidence == "cgroup" and self._has_entered(process):
            self._note_member(process)

    def _is_shown(self, process: Process, container: Container) -> bool:
        """Whether more than a cgroup's name shows a container, which a user may choose where systemd gave him a part of
        the tree: a mount namespace that is not the host's, a lineage from inside, or root's runc at its start.
        """
        if process.place.mount is None or process.place.mount != self.host.mount:
            return True
        if process.inside is not None or process.container is container:
            return True
        line = (process, *islice(process.ancestors(), _MOST_STAGES))
        return any(_is_runc(image) for each in line for image in (each.image, each.before) if image)

    def _note_member(self, process: Process) -> None:
        """Remembers who shows that a mount namespace is a container's: its number is used again when it is gone."""
        mount = process.place.mount
        if mount is None:
            return
        known = self._members.get(mount)
        if known is None or known.end is not None or known.place.mount != mount:
            if len(self._members) >= _MOST_NAMESPACES:
                del self._members[next(iter(self._members))]
            self._members[mount] = process

    def _container_of_mount(self, process: Process) -> Container | None:
        """The container whose mount namespace this is, shown by one who still runs there: a runtime enters the
        namespaces of a running container before it enters the cgroup.
        """
        mount = process.place.mount
        if mount is None or mount not in self._members:
            return None
        members = (self._members[mount], *self._latest.values())
        for member in members:
            if member.end is None and member.place.mount == mount and member.evidence == "cgroup" and member.container:
                self._members[mount] = member
                return member.container
        del self._members[mount]
        return None

    def _made_for(self, parent: Process) -> Container | None:
        """The container that an OCI runtime on the host works for, by its argv."""
        if parent.container or parent.image.cut or not _is_runc(parent.image):
            return None
        return self._containers.of_runtime(procfs.arguments(parent.image.command))

    def _has_entered(self, process: Process) -> bool:
        """Whether it is in a container, and no more in the mount namespace that its runtime came from."""
        return process.container is not None and (process.place.mount is None or not self._at_home(process))

    def _at_home(self, process: Process) -> bool:
        return process.place.mount == (self.host.mount if process.home is None else process.home)

    def _stays_outside(self, process: Process) -> bool:
        """Whether what a process in a container's cgroup just executed is the runtime itself: its file on the host, or
        the unnamed copy that runc makes of itself, where the runtime is. Whatever else is executed runs inside.
        """
        image, before = process.image, process.before
        copy = image.executable is None or image.executable == "/" or image.executable.startswith("/memfd:runc_cloned:")
        return self._at_home(process) and (_is_runc(image) or (copy and before is not None and _is_runc(before)))

    @staticmethod
    def _is(process: Process, stat: procfs.Stat) -> bool:
        """Whether /proc speaks of this process, and not of a later one with its pid."""
        return abs(_monotonic(stat.start) - process.start) <= _SLACK

    def _adopt(self, pid: int) -> Process | None:
        """The process that has this pid now, read from /proc, with its ancestors; None where there is none."""
        chain: list[tuple[int, procfs.Stat]] = []
        while pid > 0 and len(chain) < 64 and (stat := procfs.stat(pid)):
            chain.append((pid, stat))
            known = self._latest.get(stat.parent)
            if known and known.end is None:
                break
            pid = stat.parent
        process = None
        for pid, stat in reversed(chain):
            parent = self._latest.get(stat.parent)
            process = self._take(pid, stat, parent if parent and parent.end is None else None)
        return process

    def _take(self, pid: int, stat: procfs.Stat, parent: Process | None) -> Process | None:
        start = _monotonic(stat.start)
        known = self._latest.get(pid)
        if known and abs(known.start - start) <= _SLACK:
            if not stat.exiting:
                known.end = None
            return known
        if known and known.end is None:
            self._end(known, start)
        around, program = procfs.surroundings(pid), procfs.program(pid)
        process = Process(pid, start, parent=parent, name=stat.name)
        process.image = self._image(pid, start, program)
        if parent:
            process.home = parent.home if parent.container else parent.place.mount
        if parent and parent.inside is not None:
            process.container, process.inside = parent.container, parent.inside
        if not stat.exiting:  # the cgroup (v1) of one that exits reads as `/`
            self._settle(process, around)
        if process.inside is None and process.container and not self._stays_outside(process):
            process.inside = start
        self.adopted += 1
        self._enter(process)
        return process

    def _enter(self, process: Process) -> None:
        if known := self._latest.pop(process.pid, None):
            self._earlier.setdefault(known.pid, []).append(known)
        self._latest[process.pid] = process
        if len(self._latest) > self._most_living + self._most_ended:
            self._drop(next(iter(self._latest.values())))
            self.evicted += 1

    def _end(self, process: Process, when: int) -> None:
        if process.end is None:
            size = len(process.image.command or b"")
            process.end = when
            self._ended.append((when, size, process))
            self._ended_bytes += size

    def _forget(self, now: int) -> None:
        """Drops what ended a minute ago, or earlier where there is too much of it."""
        ended = self._ended
        while ended and (
            (old := ended[0][0] < now - _KEPT) or len(ended) > self._most_ended or self._ended_bytes > _MOST_ENDED_BYTES
        ):
            when, size, process = ended.popleft()
            self._ended_bytes -= size
            if process.end == when:
                self.evicted += not old
                self._drop(process)

    def _drop(self, process: Process) -> None:
        if self._latest.get(process.pid) is process:
            del self._latest[process.pid]
        elif generations := self._earlier.get(process.pid):
            generations[:] = [other for other in generations if other is not process]
            if not generations:
                del self._earlier[process.pid]
        # Descendants hold it on as an ancestor: a chain of forks, each parent gone, must not grow without end.
        process.before = None
        process.image = Image(process.image.time, process.image.executable)
        last = process
        for _ in range(_DEEPEST):
            if last.parent is None:
                return
            last = last.parent
        if self._latest.get(last.pid) is not last:
            last.parent = None


def _is_runc(image: Image) -> bool:
    """Whether it is the host's runc, and run by root."""
    return bool(image.installed) and image.by_root and component_of(image.executable or "") == "runc"


def _offset() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC, ns."""
    return time.time_ns() - time.monotonic_ns()


def _monotonic(boottime: int) -> int:
    """A time of CLOCK_BOOTTIME (which counts sleep) as one of CLOCK_MONOTONIC, exact but for sleeps since."""
    return boottime - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns())
