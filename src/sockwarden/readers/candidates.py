"""Candidates: the events of an audit log that are worth parsing, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at, and around one that may matter the lines of the same event are gathered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.find import count, find
from sockwarden.readers.repeated import Repeated
from sockwarden.readers.stretches import MOST_SEEN, REACH, Need, Places, Seen, View

_NEAR = (1 << 12, 1 << 16)
"""Where the lines of an event are looked for first, before the whole reach is."""
_MOST_FAR = 16
"""Events of a view that are looked for in the whole reach by themselves; for more, the view is indexed."""

HEADER = re.compile(rb"(?:node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=(audit\([^)\n]{1,40}\))")
_HEADER_AT = re.compile(rb"^" + HEADER.pattern, re.MULTILINE)
_ITEMS = re.compile(rb" items=(\d{1,4}) ")
_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb' name=(?:"/(?![^ "]*proc/)|2F(?![0-9A-F]*70726F632F))')
"""An absolute name that says where it leads; one below /proc may depend on the caller's directory."""

_ADDRESS = b" saddr="
_SOCKET_MODE = b" mode=014"
_BOOTS = (b"type=SYSTEM_BOOT ", b"type=KERNEL ")
_UNIX = (b"0100", b"0001")
_INET = (b"0200", b"0002", b"0A00", b"000A")
_PROC = b"70726F632F"
_MOST_JUDGED, _MOST_TEXT = 4096, 4096
"""Texts remembered with what they call for, and bytes of the longest."""
_LEAST_SIGN = 5
"""Bytes: shorter ones are found in what is of no interest."""


class Search(NamedTuple):
    """What to look for.

    address      what an address calls for, in hex as a SOCKADDR record has it
    socket_file  what the PATH record of a socket file calls for, by its text behind the header
    boot         what a boot's record calls for
    holds        whether bytes hold what is wanted
    inodes       of socket files that are wanted under any name
    passed       filled with those of socket files that called for nothing
    """

    address: Callable[[bytes], Need]
    socket_file: Callable[[bytes], Need]
    boot: Need
    holds: Callable[[bytes], bool]
    inodes: frozenset[int]
    passed: set[int]


def candidates(view: View, search: Search, places: Places) -> Iterator[list[bytes]]:
    """The lines that are needed, those of one event together, in the order of the first that called for them. A line
    that is no record of auditd's calls for nothing; of lines that call for themselves, repetitions are left out.
    """
    events, repeated = _Events(view), Repeated()
    for start, need in sorted(places):
        line = view.line(start)
        header = HEADER.match(line)
        if not header or len(line) > MOST_LINE_BYTES:
            continue
        if need == "line":
            yield from ([each] for each in repeated.take(line, header[1]))
        elif events.is_new(start, header[1]):
            starts, lines = events.around(start, header[1])
            if need == "directory" and not any(map(search.holds, filter(_is_directory, lines))):
                continue
            # What an earlier view was asked for already, that one gives.
            before = (at for at in starts if at < view.begin)
            if not any(places_in(view, at, view.end_of(at), [search])[0] for at in before):
                events.given[header[1]] = start
                yield from ([each] for each in repeated.rest())
                yield lines
    yield from ([each] for each in repeated.rest())


def places_in(view: View, begin: int, end: int, searches: Sequence[Search]) -> list[list[tuple[int, Need]]]:
    """What each search finds in a part of a view. Of a line its first address or mode counts, as when it is parsed."""
    text = view.text
    found: list[list[tuple[int, Need]]] = [[] for _ in searches]
    of_address = _Judged([search.address for search in searches])
    of_socket_file = _Judged([search.socket_file for search in searches])
    of_boot = _Judged([lambda _, need=search.boot: need for search in searches])  # type: ignore[misc]
    for at, needs in chain(
        _addresses(text, begin, end, of_address),
        _socket_files(text, begin, end, of_socket_file),
        _boots(text, begin, end, of_boot) if of_boot[b""] else (),
    ):
        start = text.rfind(b"\n", 0, at) + 1
        for places, need in zip(found, needs, strict=True):
            if need != "nothing":
                places.append((start, need))
    return found


def seen_again(view: View, seen: Seen, search: Search) -> Places:
    """What a search finds in a view where its places were seen before its inodes were known."""
    if seen.inodes.isdisjoint(search.inodes):
        return seen.places

    def of_socket_file(body: bytes) -> Need:
        inode = _INODE.search(body)
        return "event" if inode and int(inode[1]) in search.inodes else "nothing"

    files = _socket_files(view.text, view.begin, view.end, _Judged([of_socket_file]))
    return [*seen.places, *((view.text.rfind(b"\n", 0, at) + 1, needs[0]) for at, needs in files)]


class _Judged(dict[bytes, tuple[Need, ...]]):
    """What texts call for by several judges; a text that comes again is judged once. Empty where it is nothing."""

    def __init__(self, judges: Sequence[Callable[[bytes], Need]]) -> None:
        super().__init__()
        self._judges = judges

    def __missing__(self, text: bytes) -> tuple[Need, ...]:
        needs = tuple(judge(text) for judge in self._judges)
        needs = needs if any(need != "nothing" for need in needs) else ()
        if len(self) >= _MOST_JUDGED:
            self.clear()
        if len(text) <= _MOST_TEXT:
            self[text] = needs
        return needs


_Found = Iterator[tuple[int, tuple[Need, ...]]]


def _addresses(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    at = find(text, _ADDRESS, begin, end)
    while at >= 0:
        stop = text.find(b"\n", at)
        given = bytes(text[at + len(_ADDRESS) : stop])
        family = given[:4]
        # Of a TCP address the port is all that is looked at.
        if needs := judged[given] if family in _UNIX else judged[given[:8]] if family in _INET else ():
            yield at, needs
        at = find(text, _ADDRESS, stop, end)


def _socket_files(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    at = find(text, _SOCKET_MODE, begin, end)
    while at >= 0:
        start, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        # Behind the header the same socket's records are the same.
        if needs := judged[bytes(text[max(text.find(b"): ", start, at), start) : stop])]:
            yield at, needs
        at = find(text, _SOCKET_MODE, stop, end)


def _boots(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    for boot in _BOOTS:
        at = find(text, boot, begin, end)
        while at >= 0:
            if not at or text[at - 1] in b"\n ":
                yield at, judged[b""]
            at = find(text, boot, at + len(boot), end)


class _Events:
    """The lines of a view by their events.

    given  stamps of events whose lines were given, each with where the line was that called for them
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._text = view.text
        self._far = 0
        self._index: dict[bytes, list[int]] = {}
        self.given: dict[bytes, int] = {}

    def is_new(self, start: int, stamp: bytes) -> bool:
        """Whether no line near enough to be of the same event was given with it."""
        given = self.given.get(stamp)
        return given is None or start - given > REACH

    def around(self, start: int, stamp: bytes) -> tuple[list[int], list[bytes]]:
        """An event's lines, from one of them, and where they start: nearby where it is whole there, else in reach."""
        return self._run(start, stamp) or self._apart(start, stamp)

    def _run(self, start: int, stamp: bytes) -> tuple[list[int], list[bytes]] | None:
        """An event whose lines follow one another, whole, with none of it elsewhere nearby, as they mostly come."""
        text, begin, end = self._text, start, self._view.end_of(start)
        while begin and find(text, stamp, (at := text.rfind(b"\n", 0, begin - 1) + 1), begin) >= 0:
            begin = at
        while (at := text.find(b"\n", end + 1)) > 0 and find(text, stamp, end, at) >= 0:
            end = at
        run = bytes(text[begin:end])
        lines = run.split(b"\n")
        stamped = count(text, stamp, max(start - _NEAR[0], 0), min(start + _NEAR[0], len(text)))
        typed = run.startswith(b"type=") + run.count(b"\ntype=")
        if not len(lines) == stamped == typed == run.count(b" msg=" + stamp):
            return None
        if not (_is_whole(run) and b"type=SOCKADDR " in run):
            return None
        starts = [begin, *(begin + at for at in accumulate(len(line) + 1 for line in lines[:-1]))]
        return starts, lines

    def _apart(self, start: int, stamp: bytes) -> tuple[list[int], list[bytes]]:
        starts = self._stamped_near(start, stamp)
        return starts, list(map(self._view.line, starts))

    def _stamped_near(self, start: int, stamp: bytes) -> list[int]:
        for reach in _NEAR:
            found = list(self._stamped(max(start - reach, 0), start + reach, stamp))
            text = b"\n".join(map(self._view.line, found))
            # Nearest the address must be there too: an event may have none, and is then looked for a little further.
            if _is_whole(text) and (reach > _NEAR[0] or b"type=SOCKADDR " in text):
                return found
        self._far += 1
        if self._far <= _MOST_FAR:
            return list(self._stamped(max(start - REACH, 0), start + REACH, stamp))
        if not self._index:
            for match in _HEADER_AT.finditer(self._text):
                self._index.setdefault(match[1], []).append(match.start())
        return [at for at in self._index.get(stamp, ()) if abs(at - start) <= REACH]

    def _stamped(self, begin: int, end: int, stamp: bytes) -> Iterator[int]:
        text = self._text
        at = find(text, stamp, begin, min(end, len(text)))
        while at >= 0:
            start = text.rfind(b"\n", 0, at) + 1
            if (header := HEADER.match(text, start)) and header[1] == stamp:
                yield start
            at = find(text, stamp, self._view.end_of(at), min(end, len(text))) if self._view.end_of(at) < end else -1


def _is_directory(line: bytes) -> bool:
    return b"type=CWD " in line


def _is_whole(text: bytes) -> bool:
    """Whether the assembler would close the event: PROCTITLE is there, and what SYSCALL announces."""
    items = _ITEMS.search(text)
    paths = text.count(b"type=PATH ")
    announced = b"type=SYSCALL " in text and items is not None and paths >= int(items[1])
    return announced and b"type=PROCTITLE " in text and (not paths or b"type=CWD " in text)


def accesses(wanted: Wanted) -> Search:
    """The events that may hold what is wanted. Addresses stand in hex, names plain or hex."""
    in_name, in_address = _holding(wanted)
    ports = tuple(f"{port:04X}".encode() for port in wanted.ports)
    passed: set[int] = set()

    def of_address(given: bytes) -> Need:
        if given[:4] in _INET:
            return "event" if given[4:8] in ports else "nothing"
        rest = given[4:]
        if in_address(rest):
            return "event"
        # What is relative, or below /proc, says nothing by itself: the directory or the inode does.
        return "directory" if not rest.startswith((b"2F", b"00")) or _PROC in rest else "nothing"

    def of_socket_file(body: bytes) -> Need:
        if in_name(body):
            return "event"
        inode = _INODE.search(body)
        if inode and int(inode[1]) in wanted.inodes:
            return "event"
        if inode and len(passed) <= MOST_SEEN:
            passed.add(int(inode[1]))
        return "nothing"

    return Search(of_address, of_socket_file, "nothing", in_name, wanted.inodes, passed)


def lessons(wanted: Wanted) -> Search:
    """What teaches of inodes. A PATH record with an absolute name that is wanted teaches by itself; one with a relative
    name or one below /proc needs its directory, and one that makes or deletes a name needs to know the call.
    """
    in_name, _ = _holding(wanted)

    def of_socket_file(body: bytes) -> Need:
        if b" nametype=CREATE" in body:
            return "event"
        plain = b" nametype=NORMAL" in body and _ABSOLUTE.search(body)
        if in_name(body):
            return "line" if plain else "event"
        return "nothing" if plain else "directory"

    return Search(lambda _: "nothing", of_socket_file, "event", in_name, frozenset(), set())


def _holding(wanted: Wanted) -> tuple[Callable[[bytes | bytearray], bool], Callable[[bytes | bytearray], bool]]:
    """Whether a piece of an address is in bytes, plain or in hex; and whether one is in hex."""
    plain = [piece.encode("utf-8", "surrogateescape") for piece in wanted.addresses]
    in_hex = [piece.hex().upper().encode() for piece in plain]
    return _any_of(plain + in_hex), _any_of(in_hex)


def _any_of(pieces: Sequence[bytes]) -> Callable[[bytes | bytearray], bool]:
    """Whether bytes hold any of the pieces. Most hold none, so what many pieces end with is looked for first."""
    signs = _signs(tuple(sorted(pieces)))

    def holds(line: bytes | bytearray) -> bool:
        for sign in signs:
            if sign in line:
                break
        else:
            return False
        return any(piece in line for piece in pieces)

    return holds


@lru_cache(maxsize=8)
def _signs(pieces: tuple[bytes, ...]) -> list[bytes]:
    """Few short pieces of bytes, at least one of which is in each of the pieces: endings that several share, and
    pieces that others hold.
    """
    signs: list[bytes] = []
    left = set(pieces)
    while left:
        endings = Counter(piece[-size:] for piece in left for size in range(_LEAST_SIGN, len(piece) + 1))
        sign = max(endings, key=lambda ending: (endings[ending], len(ending), ending)) if endings else min(left)
        signs.append(sign)
        left = {piece for piece in left if sign not in piece}
    return signs
