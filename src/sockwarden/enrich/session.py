"""How somebody got in: ssh, a terminal, cron, a systemd unit; from lineage and cgroup, on the host only.

Ancestors count by the whole path of their executable and in the host's mount namespace, since a name is anybody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise
from typing import NamedTuple

from sockwarden.enrich.cgroup import unit_of
from sockwarden.enrich.process import Process
from sockwarden.enrich.procfs import Surroundings

_DOORS = {
    "ssh": (
        "/usr/sbin/sshd",
        "/usr/lib/openssh/sshd-session",
        "/usr/libexec/openssh/sshd-session",
        "/usr/lib/ssh/sshd-session",
        "/usr/sbin/dropbear",
    ),
    "cron": ("/usr/sbin/cron", "/usr/sbin/crond", "/usr/sbin/atd", "/usr/sbin/anacron", "/usr/bin/fcron"),
    "terminal": ("/usr/bin/login", "/bin/login", "/usr/sbin/agetty", "/sbin/agetty", "/usr/sbin/sulogin"),
}
_TYPES = {path: kind for kind, paths in _DOORS.items() for path in paths}
_VIA = {
    **dict.fromkeys(("/usr/bin/sudo", "/usr/local/bin/sudo"), "sudo"),
    **dict.fromkeys(("/usr/bin/su", "/bin/su"), "su"),
    "/usr/bin/doas": "doas",
    "/usr/bin/pkexec": "pkexec",
}
_KUBELET = ("/usr/bin/kubelet", "/usr/local/bin/kubelet", "/opt/bin/kubelet")


class Session(NamedTuple):
    """sockwarden.session: type ssh, cron, terminal or service; via sudo, su, doas or pkexec; unit of systemd."""

    type: str | None
    via: str | None
    unit: str | None


class Entry(NamedTuple):
    """ECS process.entry_leader: the first process of its own behind the door, and the door's kind (entry_meta.type)."""

    process: Process
    type: str


def session_of(process: Process, host: Surroundings) -> Session:
    """The login session or service that a process of the host belongs to; None each where it cannot be told."""
    kind = via = None
    for ancestor in _on_host(process.ancestors(), host):
        executable = ancestor.image.executable or ""
        via = via or _VIA.get(executable)
        if kind := _TYPES.get(executable):
            break
    unit = unit_of(process.place.cgroup) if process.place.cgroup else None
    if kind is None and unit and unit.endswith(".service"):
        kind = "service"
    return Session(kind, via, unit)


def entry_of(process: Process, host: Surroundings) -> Entry | None:
    """Where the lineage came in: the outermost one inside the container, or the child of sshd, of a console's login, of
    the kubelet or of pid 1. None where the lineage is cut before.
    """
    line = list(chain((process,), process.ancestors()))
    if process.container and process.inside is not None:
        outermost = process
        for each in line:
            if each.inside is None or not (each.container and each.container.id == process.container.id):
                break
            outermost = each
        return Entry(outermost, "container")
    for child, parent in pairwise(line):
        kind = _door(parent, host)
        if kind and kind != _door(child, host):
            return Entry(child, kind)
    return None


def _door(process: Process, host: Surroundings) -> str | None:
    if process.pid == 1:
        return "init"
    if not list(_on_host((process,), host)):
        return None
    executable = process.image.executable or ""
    if executable in _KUBELET:
        return "kubelet"
    return {"ssh": "sshd", "terminal": "console"}.get(_TYPES.get(executable, ""))


def _on_host(processes: Iterable[Process], host: Surroundings) -> Iterable[Process]:
    """Those whose executable's path is one of the host's."""
    return (each for each in processes if each.container is None and each.place.mount == host.mount)
