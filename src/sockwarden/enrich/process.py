"""A process as the cache knows it. All times are ns of CLOCK_MONOTONIC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from sockwarden.enrich.cgroup import merged
from sockwarden.enrich.containers import Container
from sockwarden.enrich.procfs import Surroundings

Evidence = Literal["cgroup", "namespaces", "lineage"]


_MOST_ANCESTORS = 64


class Image(msgspec.Struct, frozen=True, gc=False):
    """The program that a process runs since its last exec; what could not be read is None.

    command    argv, each with its NUL, maybe cut
    installed  of the path of a runtime's part only: whether it is the host's file there, and root's alone
    by_root    whether its effective user was root: any user may run a component with a library of his own preloaded
    count      arguments in all of argv
    cut        whether command is not all of argv
    """

    time: int
    executable: str | None = None
    command: bytes | None = None
    directory: str | None = None
    installed: bool | None = None
    by_root: bool = False
    count: int | None = None
    cut: bool = False


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a process lives: the lines of its /proc/PID/cgroup, its namespaces' inodes; None where not known."""

    cgroup: str | None = None
    mount: int | None = None
    pids: int | None = None

    def after(self, told: Surroundings) -> Place:
        """This place once the kernel told of some of it."""
        cgroup = merged(self.cgroup, told.cgroup) if told.cgroup else self.cgroup
        return Place(cgroup, told.mount or self.mount, told.pids or self.pids)


_UNREAD = Image(0)
_NOWHERE = Place()


class Process(msgspec.Struct, gc=False, eq=False):
    """One process (thread group) from fork to exit.

    start      some microseconds late from the connector, no finer than 10 ms from /proc
    exact      whether it is the kernel's own: then no other process ever has this pid and this start
    born       the start by CLOCK_BOOTTIME, to 10 ms, as /proc tells it: the same for as long as the machine runs
    before     the image before the last exec
    container  by its own cgroup, else by its mount namespace, else by lineage: once inside, a process and its
               descendants stay in
    evidence   which of these
    claims     whether its cgroup names a container that nothing else shows it to be in
    made_for   the container that a runtime forked it for, until its first exec
    init       whether it is to become that container's, as the runtime named it: its first exec is the entry point
    inside     since when its program was executed inside the container and not by the runtime outside; None: it was not
    home       mount namespace of the last in its lineage that was outside of any container
    read       whether /proc was read for it since its fork or last exec, whichever is later, or an event told as much
    """

    pid: int
    start: int
    parent: Process | None = None
    name: str = ""
    image: Image = _UNREAD
    before: Image | None = None
    place: Place = _NOWHERE
    container: Container | None = None
    evidence: Evidence = "lineage"
    claims: bool = False
    made_for: Container | None = None
    init: bool = False
    inside: int | None = None
    home: int | None = None
    read: bool = False
    exact: bool = False
    born: int = 0
    end: int | None = None

    def ancestors(self) -> Iterator[Process]:
        """Parents as forked, nearest first, as far as known, 64 at most."""
        process = self.parent
        for _ in range(_MOST_ANCESTORS):
            if process is None:
                return
            yield process
            process = process.parent
