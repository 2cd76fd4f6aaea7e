"""Exposure: who could reach each runtime socket, by what is on this host now.

Said are file permissions on the whole way and mounts in containers. Not considered are ACLs (that there are some is
said), capabilities, security modules, and as which user a container's processes run.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator

import msgspec

from sockwarden.sockets.accounts import Accounts, Chain, chain_of
from sockwarden.sockets.live import LiveSocket, text_of
from sockwarden.sockets.places import Mounts, below, place_of
from sockwarden.sockets.processes import argv_of, executable_of, namespace_of, pids

ContainerOf = Callable[[int], str | None]
"""The container that a process is in, as a person calls it; None where it is in none, or that is not known."""


_ANY = ("0.0.0.0", "::")  # noqa: S104 # compared, not bound


class Reach(msgspec.Struct, frozen=True):
    """A container that could reach a socket.

    pid        one of its processes
    container  None where a process has a root of its own and the container is not known
    path       the socket's path inside; empty where the network namespace is shared
    verified   the path leads to this very socket; False where a slow file system on the way forbids to look
    """

    pid: int
    container: str | None
    path: str
    verified: bool


class Exposure(msgspec.Struct, frozen=True):
    """Who could reach one socket, root apart.

    everyone   every user of the host; None where that cannot be told
    users, groups  by name, where it is not everyone
    containers that have it mounted, or share the network namespace of an abstract or TCP socket
    tls        True where clients must show a certificate; None where that is not known
    concerns   what is lax, a sentence each
    """

    live: LiveSocket
    everyone: bool | None
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    containers: tuple[Reach, ...] = ()
    tls: bool | None = None
    concerns: tuple[str, ...] = ()


class _Foreign(msgspec.Struct):
    """A process with a root of its own, one for each mount namespace."""

    pid: int
    container: str | None
    net: str | None


def exposure(found: Collection[LiveSocket], container_of: ContainerOf) -> list[Exposure]:
    """Who could reach each of these sockets."""
    accounts, mounts = Accounts(), Mounts()
    foreign = list(_foreign(container_of, mounts))
    return [
        _of_path(live, accounts, foreign, mounts) if live.kind == "path" else _of_name(live, foreign) for live in found
    ]


def _of_path(live: LiveSocket, accounts: Accounts, foreign: list[_Foreign], mounts: Mounts) -> Exposure:
    if live.path is None:
        return Exposure(live, None, concerns=("its file is out of sight",))
    containers = tuple(reach for one in foreign if (reach := _mounted(live, one, mounts)))
    # Below another root its folders are not ours, and only root passes /proc/PID/root.
    chain = None if live.path.startswith("/proc/") else chain_of(live.path)
    if not chain:
        return Exposure(live, None, containers=containers)
    everyone = chain.admits(None, frozenset())
    return Exposure(
        live,
        everyone,
        () if everyone else accounts.users(chain),
        () if everyone else accounts.groups(chain),
        containers,
        concerns=tuple(_concerns(chain, everyone=everyone)),
    )


def _concerns(chain: Chain, *, everyone: bool) -> Iterator[str]:
    if everyone:
        yield "every user may connect"
    for path, status in chain.folders:
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            yield f"every user may put another socket in its place: {text_of(path)} is writable by all"
    if chain.with_acl:
        yield f"{text_of(chain.with_acl[0])} has an ACL, which may admit more"
    if chain.socket.st_nlink > 1:
        yield f"it has {chain.socket.st_nlink} names (hard links)"


def _of_name(live: LiveSocket, foreign: list[_Foreign]) -> Exposure:
    """An abstract or TCP socket: no file, no permissions."""
    pid = live.listeners[0].pid if live.listeners else None
    net = namespace_of(pid, "net") if pid else None
    containers = tuple(Reach(one.pid, one.container, "", True) for one in foreign if net and one.net == net)
    if live.kind == "abstract":
        concerns = ("every process of its network namespace may connect",)
        return Exposure(live, True, containers=containers, concerns=concerns)
    tls = True if pid and {"--tlsverify", "--tlsverify=true"}.intersection(argv_of(pid)) else None
    return Exposure(live, True, containers=containers, tls=tls, concerns=tuple(_tcp_concerns(live, tls=tls)))


def _tcp_concerns(live: LiveSocket, *, tls: bool | None) -> Iterator[str]:
    host = live.socket.address.rpartition(":")[0].strip("[]")
    if host in _ANY:
        yield "every network of this host may connect"
    elif not host.startswith("127.") and host not in ("::1", "::ffff:127.0.0.1"):
        yield f"whoever reaches {host} may connect"
    if tls is None:
        yield "whether clients must show a certificate is not known"


def _foreign(container_of: ContainerOf, mounts: Mounts) -> Iterator[_Foreign]:
    # The host's: as a service of systemd this process has a mount namespace of its own. The kernel's threads have that
    # of pid 1 too, which not everybody may read.
    own, seen = namespace_of(1, "mnt") or namespace_of(2, "mnt"), set()
    root = _root_of(1, mounts)
    for pid in pids():
        namespace = namespace_of(pid, "mnt")
        # A kernel thread has no executable.
        if namespace in (None, own) or namespace in seen or executable_of(pid) is None:
            continue
        seen.add(namespace)
        container = container_of(pid)
        # Services of systemd have mount namespaces of their own with the host's root: those are no containers.
        if container is not None or _root_of(pid, mounts) != root:
            yield _Foreign(pid, container, namespace_of(pid, "net"))


def _root_of(process: int | str, mounts: Mounts) -> tuple[str, str] | None:
    """The device and the folder of its file system that a process has as its root."""
    return next(((one.device, one.root) for one in reversed(mounts.of(process)) if one.point == "/"), None)


def _mounted(live: LiveSocket, foreign: _Foreign, mounts: Mounts) -> Reach | None:
    """Where a process with another root has this socket: itself or a folder above it, under any name."""
    for inner in _inner_paths(live, foreign.pid, mounts):
        if mounts.slow(inner, foreign.pid):
            return Reach(foreign.pid, foreign.container, text_of(inner), False)
        # Another mount may lie over this one.
        place = place_of(inner, mounts, foreign.pid)
        if place and (place.device, place.inode) == (live.device, live.inode):
            return Reach(foreign.pid, foreign.container, text_of(inner), True)
    return None


def _inner_paths(live: LiveSocket, pid: int, mounts: Mounts) -> Iterator[str]:
    path = _in_file_system(live, mounts)
    # The socket itself before a folder above it.
    for mount in sorted(mounts.of(pid), key=lambda one: len(one.root), reverse=True) if path else ():
        if mount.device == live.device and path and (rest := below(path, mount.root)) is not None:
            yield f"{mount.point.rstrip('/')}{rest}"


def _in_file_system(live: LiveSocket, mounts: Mounts) -> str | None:
    """The socket's path from the root of its file system."""
    path, process = str(live.path), "self"
    if path.startswith("/proc/"):
        _, _, process, _, inside = path.split("/", 4)
        path = f"/{inside}"
    above = (one for one in mounts.of(process) if one.device == live.device)
    for mount in sorted(above, key=lambda one: len(one.point), reverse=True):
        if (rest := below(path, mount.point)) is not None:
            return f"{mount.root.rstrip('/')}{rest}"
    return None
