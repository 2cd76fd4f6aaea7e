"""Candidates: the events of an audit log that are worth parsing, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at, and around one that may matter the lines of the same event are gathered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.find import find
from sockwarden.readers.stretches import REACH, View

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
_LEAST_SIGN = 5
"""Bytes: shorter ones are found in what is of no interest."""

Need = Literal["event", "line", "directory", "nothing"]
"""What a line calls for: its whole event; itself; its event if the caller's directory holds what is wanted; nothing."""


class Search(NamedTuple):
    """What to look for.

    anchors   bytes that mark the lines to look at, each with what the line at one calls for: it takes the text and
              the anchor's place
    holds     whether bytes hold what is wanted
    """

    anchors: tuple[tuple[bytes, Callable[[bytearray, int], Need]], ...]
    holds: Callable[[bytes | bytearray], bool]


def candidates(view: View, search: Search) -> Iterator[list[bytes]]:
    """The lines that are needed, those of one event together, in the order of the first that called for them. A line
    that is no record of auditd's calls for nothing.
    """
    events = _Events(view)
    for start, need in sorted(_places(view, search, view.begin, view.end)):
        line = view.line(start)
        header = HEADER.match(line)
        if not header or len(line) > MOST_LINE_BYTES:
            continue
        if need == "line":
            yield [line]
        elif events.is_new(start, header[1]):
            starts = events.around(start, header[1])
            lines = list(map(view.line, starts))
            if need == "directory" and not any(map(search.holds, filter(_is_directory, lines))):
                continue
            # What an earlier view was asked for already, that one gives.
            before = (at for at in starts if at < view.begin)
            if not any(True for at in before for _ in _places(view, search, at, view.end_of(at))):
                events.given[header[1]] = start
                yield lines


def _places(view: View, search: Search, begin: int, end: int) -> Iterator[tuple[int, Need]]:
    """Where the lines start that call for anything, each with what."""
    text = view.text
    for anchor, need_at in search.anchors:
        at = find(text, anchor, begin, end)
        while at >= 0:
            if (need := need_at(text, at)) != "nothing":
                yield text.rfind(b"\n", 0, at) + 1, need
            at = find(text, anchor, at + len(anchor), end)


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

    def around(self, start: int, stamp: bytes) -> list[int]:
        """Where the lines of an event start, from one of them: nearby when it is whole there, else within the reach."""
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

    def of_address(text: bytearray, at: int) -> Need:
        at += len(_ADDRESS)
        family = text[at : at + 4]
        if family in _UNIX:
            rest = text[at + 4 : text.find(b"\n", at)]
            if in_address(rest):
                return "event"
            # What is relative, or below /proc, says nothing by itself: the directory or the inode does.
            return "directory" if not rest.startswith((b"2F", b"00")) or _PROC in rest else "nothing"
        return "event" if family in _INET and text[at + 4 : at + 8] in ports else "nothing"

    def of_socket_file(text: bytearray, at: int) -> Need:
        line = text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)]
        inode = _INODE.search(line)
        return "event" if (inode and int(inode[1]) in wanted.inodes) or in_name(line) else "nothing"

    return Search(((_ADDRESS, of_address), (_SOCKET_MODE, of_socket_file)), in_name)


def lessons(wanted: Wanted) -> Search:
    """What teaches of inodes. A PATH record with an absolute name that is wanted teaches by itself; one with a relative
    name or one below /proc needs its directory, and one that makes or deletes a name needs to know the call.
    """
    in_name, _ = _holding(wanted)

    def of_socket_file(text: bytearray, at: int) -> Need:
        line = text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)]
        if b" nametype=CREATE" in line:
            return "event"
        plain = b" nametype=NORMAL" in line and _ABSOLUTE.search(line)
        if in_name(line):
            return "line" if plain else "event"
        return "nothing" if plain else "directory"

    def of_boot(text: bytearray, at: int) -> Need:
        return "event" if not at or text[at - 1] in b"\n " else "nothing"

    return Search(((_SOCKET_MODE, of_socket_file), *((boot, of_boot) for boot in _BOOTS)), in_name)


def _holding(wanted: Wanted) -> tuple[Callable[[bytes | bytearray], bool], Callable[[bytes | bytearray], bool]]:
    """Whether a piece of an address is in bytes, plain or in hex; and whether one is in hex."""
    plain = [piece.encode("utf-8", "surrogateescape") for piece in wanted.addresses]
    in_hex = [piece.hex().upper().encode() for piece in plain]
    return _any_of(plain + in_hex), _any_of(in_hex)


def _any_of(pieces: Sequence[bytes]) -> Callable[[bytes | bytearray], bool]:
    """Whether bytes hold any of the pieces. Most hold none, so what many pieces end with is looked for first."""
    signs = _signs(pieces)

    def holds(line: bytes | bytearray) -> bool:
        for sign in signs:
            if sign in line:
                break
        else:
            return False
        return any(piece in line for piece in pieces)

    return holds


def _signs(pieces: Sequence[bytes]) -> list[bytes]:
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
