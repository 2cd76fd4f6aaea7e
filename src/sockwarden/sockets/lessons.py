"""Lessons: which inode is which runtime socket, learnt from recorded events before any of them is judged.

A PATH record with a socket's mode beside a name that the catalogue knows teaches that inode, on that device, on that
host. Inodes are reused at once, so a lesson has a time:

- it ends at a boot, when a recorded unlink takes the name away, and when a bind makes the inode anew, and each must
  have succeeded: the kernel names the inode of a failed unlink too, and anybody may try one;
- it ends when the catalogue knows the new name on that inode as another socket, unless the old name comes again
  (then both are aliases of one socket) or a bind taught it: a daemon's bind outranks a connect;
- before the first lesson of such a stretch the same inode is taken for the same socket: an alias may come first.

A lesson only adds a match. Where several hold at once the access is ambiguous, and that is said.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection
from heapq import heappop, heappush
from typing import Any, NamedTuple

import msgspec

from sockwarden.document import Document, get
from sockwarden.sockets.aliases import normalise
from sockwarden.sockets.catalogue import Catalogue, RuntimeSocket

Position = tuple[str, int]
"""A moment in a log: @timestamp and event.sequence."""
_START: Position = ("", -1)
_END: Position = ("\U0010ffff", 0)
ALWAYS = _START, _END
"""From when to before when anything is."""

_NUMBER = re.compile("[0-9]{1,20}")
_WINDOW = 4096
"""Events that may arrive between two that began in the other order."""
_DISORDER = 1000
"""How far serials may fall back from one event to the next that began later, since CPUs log side by side."""
_DISORDER_OF_BOOTS = 100
"""The same where a record says that there was a boot."""
_ROLLOVER = (1 << 32) - 100_000
_LAST = 1 << 32
_CLOCK_UNSET = "1971"
"""The kernel's first records after a boot may come before the clock is set."""
_MOST_NAMES = 64
"""Names learnt of one inode between two ends; a socket has a few, a flood of mounts any number."""


_MOST_ALIKE = 64
"""Stretches of time that are looked at before and behind one, for what lasts."""


class _Seen(msgspec.Struct):
    """When a name was first and last seen on an inode, and whether a bind put it there."""

    first: Position
    last: Position
    bound: bool = False


class _Stretch(msgspec.Struct):
    """The time between two ends of an inode's identity."""

    start: Position
    names: dict[RuntimeSocket, _Seen] = {}

    def see(self, socket: RuntimeSocket, at: Position, *, bound: bool) -> None:
        if socket not in self.names and len(self.names) >= _MOST_NAMES:
            return
        seen = self.names.setdefault(socket, _Seen(at, at))
        seen.first, seen.last, seen.bound = min(seen.first, at), max(seen.last, at), seen.bound or bound

    def at(self, moment: Position) -> set[RuntimeSocket]:
        """The sockets that the inode may be at a moment."""
        if len(self.names) < 2:
            return set(self.names)  # the nearest name counts where none holds at the moment
        bound = {socket for socket, seen in self.names.items() if seen.bound}
        current = {socket for socket, seen in self.names.items() if seen.first <= moment <= seen.last}
        if not current and (before := [(s.last, name) for name, s in self.names.items() if s.last < moment]):
            current = {max(before)[1]}
        if not current and self.names:
            current = {min((seen.first, socket) for socket, seen in self.names.items())[1]}
        return bound | current


_Inode = tuple[str, str, str]


class TaughtPath(NamedTuple):
    """A socket file of a lesson: its inode and device and how it was named, as printed, and what its name is."""

    inode: str
    device: str
    nametype: str | None
    socket: RuntimeSocket | None


class Lesson(NamedTuple):
    """What a document teaches, and when."""

    host: str
    moment: Position
    action: Any
    done: bool
    paths: tuple[TaughtPath, ...]


def lesson_in(document: Document, catalogue: Catalogue) -> Lesson:
    """The lesson in a document."""
    directory = directory_of(document)
    paths = []
    for path in socket_paths(document):
        name = normalise(path.get("name", ""), directory)
        socket = catalogue.path(name) if name else None
        paths.append(TaughtPath(path["inode"], path.get("dev", ""), path.get("nametype"), socket))
    done = get(document, "event.outcome") == "success"
    return Lesson(host_of(document), moment_of(document), get(document, "event.action"), done, tuple(paths))


class Lessons:
    """What one stream of events teaches. `learn` from the whole stream in order, then ask."""

    proven = False

    def __init__(self) -> None:
        self._stretches: dict[_Inode, list[_Stretch]] = {}
        self._boots: dict[str, list[Position]] = {}
        self._newest: dict[str, str] = {}
        self._highest: dict[str, int] = {}
        self._waiting: list[tuple[Position, int, Lesson]] = []
        self._count = 0

    def learn(self, lesson: Lesson) -> None:
        """Takes a lesson. Events end in another order than they began, so learning waits for a window of later ones:
        what an unlink or a bind ends must be learnt before. Boots are told by the order of arrival.
        """
        at = self._mark_boot(lesson.host, lesson.moment, lesson.action == "booted-system")
        if not lesson.paths:
            return
        self._count += 1
        heappush(self._waiting, (at, self._count, lesson))
        if len(self._waiting) > _WINDOW:
            self._learn(*heappop(self._waiting)[::2])

    def _learn_rest(self) -> None:
        while self._waiting:
            self._learn(*heappop(self._waiting)[::2])

    def _learn(self, at: Position, lesson: Lesson) -> None:
        action, done = lesson.action, lesson.done
        kept = {path.inode for path in lesson.paths if path.nametype == "CREATE"}
        for path in lesson.paths:
            inode, socket = (lesson.host, path.device, path.inode), path.socket
            if path.nametype == "DELETE":
                # A rename deletes one name and creates the next on the same inode: that is still the same socket.
                if socket and done and action in ("deleted", "renamed") and path.inode not in kept:
                    self._begin(inode, at)
                continue
            bound = done and action == "bound-socket" and path.nametype == "CREATE"
            if bound and (socket or inode in self._stretches):
                self._begin(inode, at)
            if socket:
                self._stretch(inode, at).see(socket, at, bound=bound)

    def taught(self, pieces: Collection[str]) -> frozenset[int]:
        """The inode numbers that any lesson names as a socket whose address has one of these pieces."""
        self._learn_rest()
        return frozenset(
            int(inode)
            for (_, _, inode), stretches in self._stretches.items()
            for stretch in stretches
            for socket in stretch.names
            if any(piece in socket.address for piece in pieces)
        )

    def sockets_of(self, document: Document) -> set[RuntimeSocket]:
        """The runtime sockets that the inodes of this document's PATH records are, by what was learnt."""
        self._learn_rest()
        paths = socket_paths(document)
        if not paths:
            return set()
        host, at = host_of(document), moment_of(document)
        found: set[RuntimeSocket] = set()
        for path in paths:
            if path.get("nametype") != "DELETE":
                found |= self.sockets_at(host, path.get("dev", ""), path["inode"], at)
        return found

    def sockets_at(self, host: str, device: str, inode: str, at: Position) -> set[RuntimeSocket]:
        """The runtime sockets that an inode, as printed, is at a moment."""
        self._learn_rest()
        stretches = self._stretches.get((host, device, inode))
        return self._find(stretches, host, at).at(at) if stretches else set()

    def ever(self, host: str, device: str, inode: str) -> set[RuntimeSocket]:
        """The runtime sockets that an inode, as printed, is at any moment."""
        self._learn_rest()
        return {socket for stretch in self._stretches.get((host, device, inode), ()) for socket in stretch.names}

    def lasting(self, document: Document) -> tuple[Position, Position] | None:
        """From when to before when sockets_of has the same answer for all with these PATH records; None where that is
        not known.
        """
        self._learn_rest()
        host, at = host_of(document), moment_of(document)
        boots = [_START, *self._boots.get(host, []), _END]
        index = bisect_right(boots, at)
        begin, end = boots[index - 1], boots[index]
        for path in socket_paths(document):
            stretches = self._stretches.get((host, path.get("dev", ""), path["inode"]))
            if stretches:
                number = _place(stretches, at)
                if len(stretches[number].names) > 1:
                    return None
                first, last = _alike(stretches, number, boots[index - 1])
                begin = max(begin, stretches[first].start) if first else begin
                end = min([end, *(one.start for one in stretches[last + 1 : last + 2])])
        return begin, end

    def named(self, address: str, port: int | None) -> None:
        """A log does not tell what listens at an address that the catalogue does not have."""

    def listener_of(self, reached: RuntimeSocket, document: Document) -> None:
        """A log does not tell who listens."""

    def _mark_boot(self, host: str, at: Position, recorded: bool) -> Position:
        """A boot ends every lesson of its host. Serials start again then, also where no record says so. A record alone
        is not believed: a container's root may send SYSTEM_BOOT (CAP_AUDIT_WRITE), but the kernel numbers it.

        Gives the moment at which to learn: the kernel's first record may come before the clock is set.
        """
        time, serial = at
        newest, highest = self._newest.get(host, ""), self._highest.get(host, 0)
        unset = recorded and time < _CLOCK_UNSET
        behind = _DISORDER_OF_BOOTS if recorded else _DISORDER
        # A call that blocked for long is logged with the time of its beginning and the serial of its end.
        if (time >= newest or unset) and serial + behind < highest < _ROLLOVER:
            at = (newest, _LAST) if unset else at
            boots = self._boots.setdefault(host, [])
            boots.append(max(at, *boots[-1:]) if boots else at)
            self._highest[host] = serial
        else:
            self._highest[host] = max(highest, serial)
        self._newest[host] = max(newest, time)
        return at

    def _stretch(self, inode: _Inode, at: Position) -> _Stretch:
        """The stretch that a lesson at this moment belongs to, begun anew where a boot lies in between."""
        boot = self._boot_before(inode[0], at)
        if self._stretches.setdefault(inode, [_Stretch(_START)])[-1].start < boot:
            self._begin(inode, boot)
        return self._find(self._stretches[inode], inode[0], at)

    def _begin(self, inode: _Inode, at: Position) -> None:
        """Ends what the inode was. A stretch that taught nothing is not kept: memory follows lessons, not events."""
        stretches = self._stretches.setdefault(inode, [_Stretch(_START)])
        at = max(at, stretches[-1].start)
        if stretches[-1].names:
            stretches.append(_Stretch(at))
        else:
            stretches[-1] = _Stretch(at)

    def _find(self, stretches: list[_Stretch], host: str, at: Position) -> _Stretch:
        stretch = stretches[_place(stretches, at)]
        # A boot after the stretch began, with no lesson since: nothing is known of the inode now.
        return _Stretch(at) if stretch.start < self._boot_before(host, at) else stretch

    def _boot_before(self, host: str, at: Position) -> Position:
        boots = self._boots.get(host, [])
        index = bisect_right(boots, at)
        return boots[index - 1] if index else _START


def _place(stretches: list[_Stretch], at: Position) -> int:
    """Where the stretch is that a moment lies in; what came before the first is taken for that one's."""
    return max(bisect_right(stretches, at, key=lambda one: one.start) - 1, 0)


def _alike(stretches: list[_Stretch], number: int, boot: Position) -> tuple[int, int]:
    """The first and the last of those beside one that have the same names, and began since the boot, too: a daemon that
    is started again binds the same name.
    """
    first = last = number
    if stretches[number].start < boot:
        return first, last
    names = stretches[number].names.keys()
    while first and number - first < _MOST_ALIKE and stretches[first - 1].names.keys() == names:
        if stretches[first - 1].start < boot:
            break
        first -= 1
    while last + 1 < len(stretches) and last - number < _MOST_ALIKE and stretches[last + 1].names.keys() == names:
        last += 1
    return first, last


def host_of(document: Document) -> str:
    """The host whose inodes a document speaks of; empty where the log names none."""
    return str(get(document, "host.id") or get(document, "host.name") or "")


def directory_of(document: Document) -> str | None:
    """The caller's directory; None where there is none, or no text (a document of others may hold anything)."""
    directory = get(document, "process.working_directory")
    return directory if isinstance(directory, str) else None


def moment_of(document: Document) -> Position:
    """When the event was, for comparing with others of its host."""
    sequence = get(document, "event.sequence") or get(document, "auditd.sequence") or 0
    try:
        return str(document.get("@timestamp", "")), int(sequence)
    except (TypeError, ValueError):
        return str(document.get("@timestamp", "")), 0


def socket_paths(document: Document) -> list[dict[str, str]]:
    """PATH records of socket files, with an inode each."""
    auditd = document.get("auditd")
    paths: Any = auditd.get("paths") if isinstance(auditd, dict) else None
    return [_texts(path) for path in paths if _is_socket_path(path)] if isinstance(paths, list) else []


def _is_socket_path(path: Any) -> bool:
    if not isinstance(path, dict) or not str(path.get("mode", "")).startswith("014"):
        return False
    return _NUMBER.fullmatch(str(path.get("inode"))) is not None


def _texts(path: dict[str, Any]) -> dict[str, str]:
    """A path of texts only: ours are; a document of others may hold anything."""
    name, inode, device, kind = path.get("name", ""), path["inode"], path.get("dev", ""), path.get("nametype", "")
    if type(name) is type(inode) is type(device) is type(kind) is str:
        return path
    return {key: str(value) for key, value in path.items()}
