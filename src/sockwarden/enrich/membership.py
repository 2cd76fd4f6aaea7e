"""Which container a process is in, by its cgroup, its mount namespace and its lineage; and what an OCI runtime's own
processes are, which are in a container before they run anything of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from sockwarden.enrich import procfs
from sockwarden.enrich.component import component_of
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.process import Image, Place, Process
from sockwarden.enrich.procfs import Surroundings

_MOST_NAMESPACES = 4096
_MOST_STAGES = 3
"""Forks from runc's command to the container's init (libcontainer's nsenter)."""
_CRUN = ("/usr/bin/crun", "/usr/local/bin/crun")
_COPIES = ("/", "/runc")
"""Of a runtime's copy of itself: the path in a mount that is nowhere, of the file (runc before 1.2) or its folder."""
_CLONED = ("/memfd:runc_cloned:", "/memfd:crun_cloned:")


class Membership:
    """Says which container processes are in; `everyone` are all that may be."""

    def __init__(self, containers: Containers, host: Surroundings, everyone: Callable[[], Iterable[Process]]) -> None:
        self._containers = containers
        self._host = host
        self._everyone = everyone
        self._members: dict[int, Process] = {}

    def settle(self, process: Process, place: Place) -> None:
        """Takes in where a process lives now."""
        process.read = True
        process.place = place
        container = self._containers.of_cgroup(place.cgroup) if place.cgroup else None
        process.claims = container is not None and not self._is_shown(process, container)
        if process.claims:
            container = None
        process.evidence = "cgroup"
        if container is None:
            container = self._container_of_mount(process)
            process.evidence = "namespaces" if container else "lineage"
        if container or process.inside is None:
            process.container = container
        if process.evidence == "cgroup" and self.has_entered(process):
            self._note_member(process)

    def made_for(self, parent: Process) -> Container | None:
        """The container that an OCI runtime on the host works for, by its argv."""
        if parent.container or parent.image.cut or not _is_runtime(parent):
            return None
        return self._containers.of_runtime(procfs.arguments(parent.image.command))

    def has_entered(self, process: Process) -> bool:
        """Whether it is in a container, and no more in the mount namespace that its runtime came from."""
        return process.container is not None and (process.place.mount is None or not self._at_home(process))

    def is_prepared(self, process: Process) -> bool:
        """Whether it was forked for a container into a mount namespace that is not its runtime's: its next exec is the
        entry point.
        """
        return process.made_for is not None and process.place.mount is not None and not self._at_home(process)

    def stays_outside(self, process: Process) -> bool:
        """Whether what a process in a container's cgroup just executed is the runtime itself: its file on the host, or
        the unnamed copy that it makes of itself, where the runtime is. Whatever else is executed runs inside.
        """
        return self._at_home(process) and _is_runtime(process)

    def _is_shown(self, process: Process, container: Container) -> bool:
        """Whether more than a cgroup's name shows a container, which a user may choose where systemd gave him a part of
        the tree: a mount namespace that is not the host's, a lineage from inside, or root's runtime at its start.
        """
        if process.place.mount is None or process.place.mount != self._host.mount:
            return True
        if process.inside is not None or process.container is container:
            return True
        line = (process, *islice(process.ancestors(), _MOST_STAGES))
        return any(_is_roots_runtime(image) for each in line for image in (each.image, each.before) if image)

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
        members = (self._members[mount], *self._everyone())
        for member in members:
            if member.end is None and member.place.mount == mount and member.evidence == "cgroup" and member.container:
                self._members[mount] = member
                return member.container
        del self._members[mount]
        return None

    def _at_home(self, process: Process) -> bool:
        return process.place.mount == (self._host.mount if process.home is None else process.home)


def installs(executable: str) -> bool:
    """Whether it is worth knowing if a file at this path is the host's own."""
    return executable in _CRUN or component_of(executable) is not None


def _is_runtime(process: Process) -> bool:
    """Whether it runs the host's runc or crun, by root, or the copy that such a one made of itself and executed, lest a
    container write over the file.
    """
    image, before = process.image, process.before
    path = image.executable
    if path is None or path in _COPIES or path.startswith(_CLONED):
        return before is not None and _is_roots_runtime(before)
    return _is_roots_runtime(image)


def _is_roots_runtime(image: Image) -> bool:
    path = image.executable or ""
    return bool(image.installed) and image.by_root and (path in _CRUN or component_of(path) == "runc")
