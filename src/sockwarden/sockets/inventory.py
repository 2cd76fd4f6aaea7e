"""The inventory: which inode was which runtime socket at which moment, kept for a while after the socket is gone.

An access is judged a moment after it was made, and inodes are reused at once. A socket that appeared between two
discoveries may have been there since the earlier one; of two that follow each other on one inode the file's ctime
tells where the second begins.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Collection, Iterator
from datetime import datetime
from math import inf

import msgspec

from sockwarden.document import Document, get
from sockwarden.health import Trouble
from sockwarden.literals import Wanted
from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket, piece_of
from sockwarden.sockets.lessons import socket_paths
from sockwarden.sockets.live import Listener, LiveSocket
from sockwarden.sockets.places import is_folder

_KEPT_SECONDS = 120
"""How late an event may come and still find a socket that is gone: longer than any queue here holds one."""
_MOST_GONE = 16384
"""Sockets that are gone and still known: a flood of short-lived ones must not fill memory."""
_ENDING_SECONDS = 1.0
"""How long a daemon may take from the removal of its socket's file to its end."""
_MOST_FILES = 512
"""Socket files with rules of their own: every rule costs each system call that audit looks at."""
_MOST_TROUBLES = 16
"""Sockets out of sight that are told one by one; the rest is counted."""
_ANY = ("0.0.0.0", "::")  # noqa: S104 # compared, not bound
_LOOPBACK = ("127.0.0.1", "::1")
_KERNEL_TOLD = ("ebpf", "sweep")
"""Sensors that name the listener by what the kernel has of it, not by PATH records."""


class _Stay(msgspec.Struct):
    """A socket, from when it may have been there to when it had gone."""

    live: LiveSocket
    start: float
    end: float = inf

    @property
    def key(self) -> tuple[object, ...]:
        return (self.live.socket, self.live.kind, self.live.device, self.live.inode, self.live.generation)


class Inventory:
    """What discovery found, with a past. Resolves like Lessons do.

    catalogue  by which was looked
    """

    proven = True

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._present: dict[tuple[object, ...], _Stay] = {}
        self._gone: deque[_Stay] = deque(maxlen=_MOST_GONE)
        self._by_inode: dict[tuple[str, int], list[_Stay]] = {}
        self._by_name: dict[str, list[_Stay]] = {}
        self._by_port: dict[int, list[_Stay]] = {}
        self._by_sockfs: dict[int, _Stay] = {}
        self._refreshed = -inf
        self._told: set[tuple[object, ...]] = set()
        self._lost: dict[tuple[object, ...], float] = {}
        self._limits: dict[str, float] = {}
        self._files: list[str] = []
        self._troubles: list[Trouble] = []

    def refresh(self, found: Collection[LiveSocket], now: float, limits: Collection[str] = ()) -> bool:
        """Takes in what a discovery found, at a time in seconds since the epoch, and what it could not look at. Says
        whether a socket came, went or moved, so that rules must follow.
        """
        if now < self._refreshed:
            # The clock was set back: what is there now was there then.
            self._refreshed = -inf
            for stay in self._present.values():
                stay.start = -inf
        fresh = [_Stay(live, self._refreshed) for live in found]
        current = {stay.key: self._present.get(stay.key, stay) for stay in fresh}
        left = [stay for key, stay in self._present.items() if key not in current]
        changed = bool(left) or not current.keys() <= self._present.keys()
        for stay in fresh:
            known = current[stay.key]
            changed |= known.live.path != stay.live.path
            known.live = stay.live
        for stay in left:
            stay.end = now
        self._gone += left
        while self._gone and self._gone[0].end < now - _KEPT_SECONDS:
            self._gone.popleft()
        self._present = current
        self._refreshed = now
        self._index()
        self._notice_out_of_sight(now)
        self._files, cut = self._choose()
        self._notice_limits([*limits, *cut], now)
        return changed

    def _choose(self) -> tuple[list[str], list[str]]:
        """The socket files to be watched one by one, root's first, and what is to be said of others. One that has just
        gone stays, since it may come again at once.
        """
        folders = self.folders()
        ordered = sorted(
            (stay for stay in self._every() if stay.live.path and stay.live.path.rpartition("/")[0] not in folders),
            key=lambda one: (one.live.owner != 0, one.end != inf, one.live.found_by != "catalogue"),
        )
        paths = list(dict.fromkeys(stay.live.path for stay in ordered if stay.live.path))
        cut = [f"there are more than {_MOST_FILES} socket files: the rest is not watched"]
        return paths[:_MOST_FILES], cut if len(paths) > _MOST_FILES else []

    def _notice_limits(self, limits: Collection[str], now: float) -> None:
        """Limits that were reached, each told once while it lasts; one that comes and goes is told once, too."""
        lasting = {limit: since for limit, since in self._limits.items() if since >= now - _KEPT_SECONDS}
        self._troubles += [
            Trouble("socket-out-of-sight", f"Accesses to some sockets may go unseen: {limit}.", limit)
            for limit in dict.fromkeys(limits)
            if limit not in lasting
        ]
        self._limits = lasting | dict.fromkeys(limits, now)

    def _index(self) -> None:
        self._by_inode, self._by_name, self._by_port, self._by_sockfs = {}, {}, {}, {}
        for stay in sorted(self._every(), key=lambda one: (one.start, one.live.changed)):
            self._by_name.setdefault(stay.live.socket.address, []).append(stay)
            if stay.live.kind == "inet":
                self._by_port.setdefault(_port(stay.live), []).append(stay)
            if stay.live.listening:
                self._by_sockfs[stay.live.generation] = stay
            if stay.live.kind != "path":
                continue
            stays = self._by_inode.setdefault((stay.live.device, stay.live.inode), [])
            if stays and stays[-1].live.socket != stay.live.socket and stays[-1].end != inf:
                # The inode was taken over: the ctime of the second file says when, within what two discoveries saw.
                border = min(max(stay.live.changed, stay.start), stays[-1].end)
                stays[-1].end = stay.start = border
            stays.append(stay)

    def _every(self) -> Iterator[_Stay]:
        yield from self._gone
        yield from self._present.values()

    def _notice_out_of_sight(self, now: float) -> None:
        """A listener whose socket file is nowhere to be found: accesses to it go unseen. Told once while it lasts, and
        not before it has lasted: a daemon that ends takes its file away before it closes the socket.
        """
        present = ((key, stay.live) for key, stay in self._present.items())
        lost = {key: live for key, live in present if live.kind == "path" and live.path is None}
        self._lost = {key: self._lost.get(key, now) for key in lost}
        lasting = {key for key, since in self._lost.items() if now >= since + _ENDING_SECONDS}
        new = [lost[key] for key in lost if key in lasting - self._told]
        self._told = lasting
        self._troubles += [_out_of_sight(live) for live in new[:_MOST_TROUBLES]]
        if rest := new[_MOST_TROUBLES:]:
            message = f"{len(rest):,} more sockets listen whose files were not found: accesses to them go unseen."
            self._troubles.append(Trouble("socket-out-of-sight", message, f"{len(rest)} sockets"))

    @property
    def unsettled(self) -> bool:
        """Whether a socket has just gone out of sight: to be looked for again in a second."""
        return bool(self._lost.keys() - self._told)

    def troubles(self) -> list[Trouble]:
        """What was noticed since this was asked last."""
        troubles, self._troubles = self._troubles, []
        return troubles

    def live(self) -> list[LiveSocket]:
        """The sockets that exist, as of the last refresh."""
        return [stay.live for stay in self._present.values()]

    def paths(self) -> frozenset[str]:
        """Paths of socket files to watch one by one. One of the catalogue that may come is watched where its folder
        exists, so that its first accesses are not missed.
        """
        folders = self.folders()
        may_come = (path for path in self.catalogue.paths if "*" not in path and path not in self.catalogue.ignored)
        paths = {*self._files, *(path for path in may_come if is_folder(path.rpartition("/")[0]))}
        return frozenset(path for path in paths if path.rpartition("/")[0] not in folders)

    def folders(self) -> frozenset[str]:
        """Folders whose every socket is a runtime's, where they exist, to watch as a whole."""
        return frozenset(os.path.realpath(folder) for folder in self.catalogue.folders if is_folder(folder))

    @property
    def wanted(self) -> Wanted:
        """What a record must contain to be of interest: the catalogue's and what was found beside it."""
        found = [stay.live for stay in self._every()]
        beside = Wanted(
            addresses=frozenset(piece_of(live.socket.address) for live in found if live.kind != "inet") - {""},
            inodes=frozenset(live.inode for live in found if live.inode),
            ports=frozenset(_port(live) for live in found if live.kind == "inet"),
        )
        return self.catalogue.wanted | beside

    def sockets_of(self, document: Document) -> set[RuntimeSocket]:
        """The runtime socket whose listener a sensor named, or what the inodes were at that time which the document
        has: of the socket's file, of its PATH records.
        """
        # The kernel gives a listener's own inode to no other socket: whatever the time, it is that one or none of ours.
        listener = get(document, "sockwarden.socket.listener.inode")
        if isinstance(listener, int):
            stay = self._by_sockfs.get(listener)
            return {stay.live.socket} if stay else set()
        found: set[RuntimeSocket] = set()
        if get(document, "sockwarden.sensor.name") in _KERNEL_TOLD:
            inode, device = (get(document, f"sockwarden.socket.{field}") for field in ("inode", "device"))
            if isinstance(inode, int) and isinstance(device, str):
                found |= {stay.live.socket for stay in _at(self._by_inode.get((device, inode), []), document)}
        for path in socket_paths(document):
            stays = self._by_inode.get((path.get("dev", ""), int(path["inode"])))
            if stays and path.get("nametype") != "DELETE":
                found |= {stay.live.socket for stay in _at(stays, document)}
        return found

    def named(self, address: str, port: int | None) -> RuntimeSocket | None:
        """The runtime socket at an address that the catalogue does not have: a path in normal form, `@name`, or
        `host:port` with its port.
        """
        if port is None:
            stays = self._by_name.get(address)
            return stays[-1].live.socket if stays else None
        on_port = (stay.live.socket for stay in reversed(self._by_port.get(port, [])))
        return next((named for named in on_port if _reaches(address, named.address)), None)

    def listener_of(self, reached: RuntimeSocket, document: Document) -> Listener | None:
        """Who listened on a socket at the time of a document; None where that is not known."""
        stays = _at(self._by_name.get(reached.address, []), document)
        return next((stay.live.listeners[0] for stay in reversed(stays) if stay.live.listeners), None)


def _at(stays: list[_Stay], document: Document) -> list[_Stay]:
    try:
        moment = datetime.fromisoformat(str(document.get("@timestamp", ""))).timestamp()
    except (ValueError, OverflowError):
        # A time that cannot be read must not hide an access.
        return stays
    # Times are cut to milliseconds, and audit's clock is up to one tick (10 ms) behind.
    return [stay for stay in stays if stay.start - 0.02 <= moment <= stay.end + 0.02]


def _out_of_sight(live: LiveSocket) -> Trouble:
    who = f" ({live.listeners[0].executable}, pid {live.listeners[0].pid})" if live.listeners else ""
    message = (
        f"The {live.socket.name} socket{who} still listens, but its file is not at {live.socket.address}, nor renamed "
        "in a folder that is watched: accesses by another name go unseen. Restart the daemon to make the socket anew."
    )
    return Trouble("socket-out-of-sight", message, f"{live.socket.address} inode {live.inode} on {live.device}")


def _port(live: LiveSocket) -> int:
    return int(live.socket.address.rpartition(":")[2])


def _reaches(given: str, bound: str) -> bool:
    """Whether a connect to an address reaches one that a daemon of this host is bound to."""
    target, host = _ip(given), _ip(bound)
    if host not in _ANY:
        # Linux takes a connect to the unspecified address for one to the loopback (ip_route_connect).
        return target == host or (target in _ANY and host in _LOOPBACK)
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        # Only an address of this host can be bound to; a name would be looked up, but is no address.
        socket.inet_pton(family, target)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((target, 0))
    except (OSError, ValueError):
        return False
    return True


def _ip(address: str) -> str:
    """The IP of `host:port`; of an IPv4 one inside an IPv6 one, as that is the same listener."""
    return address.rpartition(":")[0].strip("[]").removeprefix("::ffff:")
