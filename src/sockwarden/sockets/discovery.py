"""Discovery: the runtime sockets that exist on this host now.

Three ways lead to one: its name is in the catalogue, a runtime daemon listens on it, or systemd listens for a daemon.
In other network and mount namespaces a socket is found where a known daemon runs in them. Not found is a daemon that
runs under another name there; and to one who is not root the kernel shows neither holders nor other namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from sockwarden.errors import InputError
from sockwarden.sockets import diag, places, processes, units
from sockwarden.sockets.aliases import normalise
from sockwarden.sockets.budget import Budget
from sockwarden.sockets.catalogue import Catalogue, Daemon, RuntimeSocket
from sockwarden.sockets.daemons import Daemons, is_control, tcp_ports
from sockwarden.sockets.live import FoundBy, Listener, LiveSocket, text_of
from sockwarden.sockets.places import Place

_MOST_SOCKETS = 4096
_SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
_NOT_ROOT = "not root: not seen are who listens, daemons at unlisted addresses, and other network namespaces"


_Kept = TypeVar("_Kept")
Heard = diag.UnixListener | diag.InetListener


class _Host(msgspec.Struct):
    """What was seen of the host.

    executables  of every process that we may look at
    daemons      the runtime daemons among them
    served       the sockets that these hold, by sockfs inode: by whom
    files        the socket files that the catalogue names, by device and inode: as named, and where they are
    ports        the TCP ports that daemons were told, as far as they were asked for
    """

    executables: dict[int, str]
    daemons: dict[int, Daemon]
    served: dict[int, int]
    files: dict[tuple[str, int], tuple[RuntimeSocket, Place]]
    activations: dict[str, units.Activation]
    mounts: places.Mounts
    ports: dict[int, frozenset[int]] = {}


class _Found(msgspec.Struct):
    """A listening socket of a runtime: what it is, whose, and why we think so."""

    at: Heard
    owner: int
    socket: RuntimeSocket
    by: FoundBy
    unit: str = ""


class Discovery:
    """Discovers again and again. What costs most, to find who holds each socket, is kept while nothing changed.

    limits   what could not be looked at the last time, a sentence each
    """

    def __init__(self, catalogue: Catalogue, *, unit_folders: Sequence[Path] = units.FOLDERS) -> None:
        self._catalogue = catalogue
        self._daemons = Daemons(catalogue)
        self._unit_folders = unit_folders
        self._held: tuple[object, dict[int, list[int]]] = (None, {})
        self.limits: list[str] = []

    def discover(self) -> list[LiveSocket]:
        """What exists now, in the order of addresses."""
        self.limits = [] if os.geteuid() == 0 else [_NOT_ROOT]
        host = self._look()
        listeners = list(self._listeners(host))
        judged = filter(None, (self._judge(listener, host) for listener in listeners))
        found = [one for one in judged if one.socket.address not in self._catalogue.ignored]
        heard = {(one.at.device, one.at.inode) for one in found if isinstance(one.at, diag.UnixListener)}
        found = self._within_budget(found, host)
        holders = self._holders(found, host)
        sockets = [self._live(one, holders.get(one.at.sockfs, []), host) for one in found]
        listening = False if listeners and os.geteuid() == 0 else None
        left = Budget("socket files on which nobody listens")
        for key, (named, place) in host.files.items():
            if key not in heard and left.takes(place.uid):
                sockets.append(_of_file(named, place, "catalogue", listening))
        self.limits += left.limits()
        sockets.sort(key=lambda one: (one.owner != 0, one.found_by != "catalogue", one.socket, one.generation))
        return sorted(self._most(sockets), key=lambda one: (one.socket, one.generation))

    def _within_budget(self, found: list[_Found], host: _Host) -> list[_Found]:
        """Root's sockets, and of each other user's those first whose files are seen from here."""

        def rank(one: _Found) -> tuple[object, ...]:
            seen = isinstance(one.at, diag.UnixListener) and (one.at.device, one.at.inode) in host.files
            return (one.owner != 0, not seen, one.by != "catalogue", one.socket, one.at.sockfs)

        budget = Budget("sockets of runtimes")
        kept = [one for one in sorted(found, key=rank) if budget.takes(one.owner)]
        self.limits += budget.limits()
        return self._most(kept)

    def _most(self, ordered: list[_Kept]) -> list[_Kept]:
        """The first ones, where memory and time for more would be at others' will."""
        limit = f"there are more than {_MOST_SOCKETS:,} sockets of runtimes: the rest is not watched"
        if len(ordered) > _MOST_SOCKETS and limit not in self.limits:
            self.limits.append(limit)
        return ordered[:_MOST_SOCKETS]

    def _look(self) -> _Host:
        executables = {pid: path for pid in processes.pids() if (path := processes.executable_of(pid))}
        budget = Budget("runtime daemons")
        serving = ((pid, self._daemons.serving(path)) for pid, path in executables.items())
        daemons = {pid: daemon for pid, daemon in serving if daemon and budget.takes(processes.uid_of(pid))}
        self.limits += budget.limits()
        served = {sockfs: pid for pid in sorted(daemons, reverse=True) for sockfs in processes.sockets_held(pid)}
        mounts = places.Mounts()
        files = self._files(mounts)
        return _Host(executables, daemons, served, files, units.activations(self._daemons, self._unit_folders), mounts)

    def _files(self, mounts: places.Mounts) -> dict[tuple[str, int], tuple[RuntimeSocket, Place]]:
        """The catalogue's files. Of several names of one file the first that is no symlink counts."""
        found: dict[tuple[str, int], tuple[RuntimeSocket, Place]] = {}
        paths = [path for glob in self._catalogue.paths for path in places.expand(glob, mounts)]
        if any(map(mounts.slow, paths)):
            self.limits.append("places on file systems that others serve (NFS, FUSE) are not looked at")
        for path in paths:
            place = places.place_of(path, mounts)
            named = self._catalogue.path(text_of(path))
            if place and named:
                known = found.get((place.device, place.inode))
                if not known or (known[1].path != known[0].address and place.path == path):
                    found[place.device, place.inode] = (named, place)
        return found

    def _listeners(self, host: _Host) -> Iterator[Heard]:
        """What listens in our network namespace, and in those in which a daemon runs."""
        own = processes.namespace_of("self", "net")
        others = {processes.namespace_of(pid, "net"): Path(f"/proc/{pid}/ns/net") for pid in host.daemons}
        for namespace in (None, *(path for name, path in others.items() if name not in (None, own))):
            for list_them in (diag.unix_listeners, diag.inet_listeners):
                try:
                    yield from list_them(namespace)
                except InputError as error:
                    if namespace and not namespace.exists():
                        # The daemon has ended since.
                        break
                    self.limits.append(f"{error.what} ({error.where}: {error.why})")

    def _judge(self, at: Heard, host: _Host) -> _Found | None:
        """Whether a listening socket is a runtime's. What the catalogue says of a name counts more than the daemon."""
        address, named = self._named(at, host)
        activation = host.activations.get(address)
        if not activation and isinstance(at, diag.InetListener):
            activation = host.activations.get(f":{at.port}")
        unit = activation.unit if activation else ""
        pid = host.served.get(at.sockfs)
        owner = self._owner(at, pid, host)
        if named:
            return _Found(at, owner, named, "catalogue", unit)
        daemon = host.daemons[pid] if pid is not None else None
        if daemon and pid is not None and _is_api(at, address, daemon, pid, host):
            return _Found(at, owner, RuntimeSocket(address, daemon.runtime, daemon.name), "listener", unit)
        if activation:
            serving = activation.daemon
            return _Found(at, owner, RuntimeSocket(address, serving.runtime, serving.name), "unit", unit)
        return None

    def _owner(self, at: Heard, pid: int | None, host: _Host) -> int:
        """Whose a socket is. Where the kernel does not tell, its file's or its daemon's; else it counts as root's."""
        if at.uid is not None:
            return at.uid
        if isinstance(at, diag.UnixListener) and (file := host.files.get((at.device, at.inode))):
            return file[1].uid
        return (processes.uid_of(pid) if pid is not None else 0) or 0

    def _named(self, at: Heard, host: _Host) -> tuple[str, RuntimeSocket | None]:
        """A listener's address as we write it, and what the catalogue has by that name or by another of the file."""
        if isinstance(at, diag.InetListener):
            return at.address, self._catalogue.port(at.address, at.port)
        if at.name.startswith(b"\0"):
            name = text_of(at.name[1:])
            return f"@{name}", self._catalogue.abstract(name)
        address = normalise(text_of(at.name), None) or text_of(at.name)
        file = host.files.get((at.device, at.inode))
        return address, self._catalogue.path(address) or (file[0] if file else None)

    def _holders(self, found: list[_Found], host: _Host) -> dict[int, list[int]]:
        wanted = frozenset(one.at.sockfs for one in found)
        key = (wanted, frozenset((pid, host.executables[pid]) for pid in host.daemons))
        if self._held[0] != key:
            self._held = (key, processes.holders_of(wanted))
        return self._held[1]

    def _live(self, found: _Found, holders: list[int], host: _Host) -> LiveSocket:
        named = ((pid, host.executables.get(pid)) for pid in holders)
        listeners = tuple(Listener(pid, text_of(path)) for pid, path in named if path and path not in _SYSTEMD)
        at = found.at
        if isinstance(at, diag.InetListener) or at.name.startswith(b"\0"):
            live = LiveSocket(found.socket, "inet" if isinstance(at, diag.InetListener) else "abstract", found.by, True)
        elif place := self._locate(at, holders, host):
            socket = found.socket
            if place.path.startswith("/proc/") or not socket.address.startswith("/"):
                socket = RuntimeSocket(text_of(place.path), socket.runtime, socket.name)
            live = _of_file(socket, place, found.by, True)
        else:
            live = LiveSocket(found.socket, "path", found.by, True, device=at.device, inode=at.inode)
        return msgspec.structs.replace(
            live, generation=at.sockfs, owner=found.owner, listeners=listeners, unit=found.unit
        )

    def _locate(self, at: diag.UnixListener, holders: list[int], host: _Host) -> Place | None:
        """Where the file of a listening socket is now: at its name, at another name that the catalogue has, where its
        holder sees it, or renamed within its folder or to another one in which a runtime has a socket.
        """

        def fits(place: Place | None) -> bool:
            return place is not None and (place.device, place.inode) == (at.device, at.inode)

        name = os.path.normpath(os.fsdecode(at.name))
        for path, pid in _names(name, holders):
            place = places.place_of(path, host.mounts, pid)
            if fits(place):
                return place
        if known := host.files.get((at.device, at.inode)):
            return known[1]
        folders = {place.path.rpartition("/")[0] for _, place in host.files.values()}
        for folder in dict.fromkeys((name.rpartition("/")[0], *sorted(folders))):
            if folder.startswith("/") and (place := places.find_inode(folder, at.device, at.inode, host.mounts)):
                return place
        return None


def _is_api(at: Heard, address: str, daemon: Daemon, pid: int, host: _Host) -> bool:
    """Whether a socket on which a daemon listens is its control API. One without a name cannot be reached."""
    if isinstance(at, diag.InetListener):
        if pid not in host.ports:
            host.ports[pid] = tcp_ports(daemon, pid, host.mounts)
        return at.port in host.ports[pid]
    return bool(at.name) and (at.name.startswith(b"\0") or is_control(daemon, address))


def _names(name: str, holders: list[int]) -> Iterator[tuple[str, int | None]]:
    """Paths at which a bound name may be found, and who sees them; None for us."""
    if name.startswith("/"):
        yield name, None
    for pid in holders:
        if name.startswith("/"):
            yield name, pid
            # /var/run is a symlink there too, and none is followed below a root that is not ours.
            if name.startswith("/var/run/"):
                yield name.removeprefix("/var"), pid
            continue
        if folder := processes.directory_of(pid):
            path = os.path.normpath(f"{folder}/{name}")
            yield path, None
            yield path, pid


def _of_file(socket: RuntimeSocket, place: Place, found_by: FoundBy, listening: bool | None) -> LiveSocket:
    return LiveSocket(
        socket,
        "path",
        found_by,
        listening,
        path=place.path,
        device=place.device,
        inode=place.inode,
        generation=place.changed_ns,
        changed=place.changed_ns / 1e9,
        mode=place.mode,
        uid=place.uid,
        gid=place.gid,
        owner=place.uid,
    )


def discover(catalogue: Catalogue, *, unit_folders: Sequence[Path] = units.FOLDERS) -> list[LiveSocket]:
    """The runtime sockets that exist on this host now; see Discovery."""
    return Discovery(catalogue, unit_folders=unit_folders).discover()
