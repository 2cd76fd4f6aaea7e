"""Where an access came from: the host, a container, a container whose own program has not started yet, or unknown."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

from sockwarden.enrich.containers import Container
from sockwarden.enrich.process import Image, Process
from sockwarden.enrich.procfs import Surroundings

_CREATORS = frozenset(("runc", "crun", "youki", "runsc", "kata-runtime", "lxc-start", "systemd-nspawn", "conmon"))
"""Programs whose children they move into a container after the fork, which the process connector does not tell."""
_COPIES = ("/memfd:runc", "/memfd:crun")


class Origin(NamedTuple):
    """The value of sockwarden.actor.origin, and what it rests on.

    evidence  cgroup: the process's own (of unknown origin: it names a container, and the mount namespace is the
              host's); namespaces: its mount namespace is a container's; lineage: an ancestor was
              inside when it forked, or a runtime forked it for this container; pid-namespace: a foreign one, and no
              container known; unseen: the process was gone before anything of it could be read
    """

    name: Literal["host", "container", "container-init", "unknown"]
    evidence: Literal["cgroup", "namespaces", "lineage", "pid-namespace", "unseen"]
    container: Container | None = None


UNSEEN = Origin("unknown", "unseen")


def origin_of(process: Process, image: Image, host: Surroundings) -> Origin:
    """The origin of what a process did while it ran an image, one of its last two."""
    if process.container:
        before = process.inside is None or (image is process.before and image.time < process.inside)
        return Origin("container-init" if before else "container", process.evidence, process.container)
    apart = (process.place.mount, process.place.pids) != (host.mount, host.pids)
    if process.made_for and (not process.read or (process.init and apart)):
        return Origin("container-init" if process.init else "unknown", "lineage", process.made_for)
    if process.place.cgroup is None or _was_moved_unseen(process):
        return UNSEEN
    if process.claims:
        return Origin("unknown", "cgroup")
    if process.place.pids != host.pids:
        return Origin("unknown", "pid-namespace")
    return Origin("host", "cgroup")


def image_at(process: Process, moment: int, executable: str | None, slack: int) -> Image:
    """The image that a process ran at a moment: by time, and where the clocks are too coarse for that, by the
    executable that the kernel told. In doubt the later one.
    """
    image, before = process.image, process.before
    if before is None or moment >= image.time:
        return image
    if moment + slack < before.time:
        return Image(process.start)
    if moment + slack < image.time:
        return before
    told = executable is not None and before.executable == executable != image.executable
    return before if told and image.executable is not None else image


def _was_moved_unseen(process: Process) -> bool:
    """Whether it was gone before its own cgroup was read, and a runtime, or a program that nobody could read, had
    forked it, or had forked who forked it.
    """
    for below, parent in pairwise((process, *process.ancestors())):
        if below.read:
            return False
        executable = parent.image.executable
        if executable is None or executable.startswith(_COPIES):
            return True
        if executable.rpartition("/")[2].removesuffix(" (deleted)") in _CREATORS:
            return True
    return False
