"""Candidates: the lines of an audit log that are worth parsing, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at, and around one that may matter the lines of the same event are gathered. The lines of an event are
taken to be within 2 MiB of each other: thousands of records, many times what the kernel and auditd hold back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers.blocks import MOST_LINE_BYTES, too_long
from sockwarden.readers.tally import Tally

REACH = 1 << 21
"""How far apart the lines of one event may be."""
_NEAR = (1 << 12, 1 << 16)
"""Where they are looked for first, before a whole view is indexed."""

_HEADER = re.compile(rb"(?:node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=(audit\([^)\n]{1,40}\))")
_HEADER_AT = re.compile(rb"\n" + _HEADER.pattern)
_NO_HEADER = re.compile(rb"\n(?!" + _HEADER.pattern + rb"|\Z)")
_ITEMS = re.compile(rb" items=(\d{1,4}) ")
_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb' name=(?:"/(?![^ "]*proc/)|2F(?![0-9A-F]*70726F632F))')
"""An absolute name that says where it leads; one below /proc may depend on the caller's directory."""

_ADDRESS = b" saddr="
_SOCKET_MODE = b" mode=014"
_BOOTS = (b"type=SYSTEM_BOOT ", b"type=KERNEL ")


class Search(NamedTuple):
    """What to look for.

    anchors   bytes that mark the lines to look at
    need      of such a line: its whole event, the line alone, or nothing
    """

    anchors: tuple[bytes, ...]
    need: Callable[[bytes], Literal["event", "line", "nothing"]]


def lines(blocks: Iterator[bytes], search: Search | None, tally: Tally) -> Iterator[bytes]:
    """The lines that are needed, those of one event together, and every line that does not start as a record of a
    log does: it may be of another form, or torn. All lines without a search.
    """
    found = (
        chain.from_iterable(block.split(b"\n")[:-1] for block in blocks) if search is None else _search(blocks, search)
    )
    for line in found:
        if len(line) > MOST_LINE_BYTES:
            tally.reject(too_long(MOST_LINE_BYTES), line)
        else:
            yield line


def _search(blocks: Iterator[bytes], search: Search) -> Iterator[bytes]:
    """Goes through the input in views that overlap by twice the reach, so that every place is looked at once, with the
    reach before and behind it in view.
    """
    text, begin = b"\n", 0
    seen: set[bytes] = set()
    for block in chain(blocks, [None]):
        text += block or b""
        end = len(text) if block is None else max(text.rfind(b"\n", 0, max(len(text) - REACH, 0)), begin)
        view = _View(text, search, seen)
        for at in sorted(set(_places(text, begin, end, search))):
            yield from view.lines_for(at)
        kept = max(text.rfind(b"\n", 0, max(end - REACH, 0)), 0)
        text, begin, seen = text[kept:], end - kept, view.given


def _places(text: bytes, begin: int, end: int, search: Search) -> Iterator[int]:
    """Where lines start (after their newline) that are to be looked at."""
    for match in _NO_HEADER.finditer(text, begin, end):
        yield match.start() + 1
    for anchor in search.anchors:
        at = text.find(anchor, begin, end)
        while at >= 0:
            yield text.rfind(b"\n", 0, at) + 1
            at = text.find(anchor, text.find(b"\n", at), end)


class _View:
    """A stretch of the input that begins with a newline.

    given  stamps of the events whose lines were given in it
    """

    def __init__(self, text: bytes, search: Search, seen: set[bytes]) -> None:
        self._text = text
        self._need = search.need
        self._seen = seen
        self._index: dict[bytes, list[int]] = {}
        self.given: set[bytes] = set()

    def lines_for(self, start: int) -> Iterator[bytes]:
        """The lines that the one at `start` calls for, unless its event was given before."""
        line = self._line(start)
        header = _HEADER.match(line)
        if not header:
            yield line
            return
        need = self._need(line)
        if need == "line":
            yield line
        elif need == "event" and header[1] not in self._seen and header[1] not in self.given:
            self.given.add(header[1])
            yield from self._event(start, header[1])

    def _event(self, start: int, stamp: bytes) -> Sequence[bytes]:
        """The lines of an event around one of them: nearby when it is whole there, else in the whole view."""
        for reach in _NEAR:
            found = list(self._stamped(max(start - reach, 0), start + reach, stamp))
            text = b"\n".join(found)
            # Nearest the address must be there too: an event may have none, and is then looked for a little further.
            if _is_whole(text) and (reach > _NEAR[0] or b"type=SOCKADDR " in text):
                return found
        if not self._index:
            for match in _HEADER_AT.finditer(self._text):
                self._index.setdefault(match[1], []).append(match.start() + 1)
        return list(map(self._line, self._index.get(stamp, ())))

    def _stamped(self, begin: int, end: int, stamp: bytes) -> Iterator[bytes]:
        at = self._text.find(stamp, begin, end)
        while at >= 0:
            line = self._line(self._text.rfind(b"\n", 0, at) + 1)
            if (header := _HEADER.match(line)) and header[1] == stamp:
                yield line
            at = self._text.find(stamp, self._text.find(b"\n", at), end)

    def _line(self, start: int) -> bytes:
        return self._text[start : self._text.find(b"\n", start)]


def _is_whole(text: bytes) -> bool:
    """Whether the assembler would close the event: PROCTITLE is there, and what SYSCALL announces."""
    items = _ITEMS.search(text)
    paths = text.count(b"type=PATH ")
    announced = b"type=SYSCALL " in text and items is not None and paths >= int(items[1])
    return announced and b"type=PROCTITLE " in text and (not paths or b"type=CWD " in text)


def accesses(wanted: Wanted) -> Search:
    """The events that may hold what is wanted. Addresses stand in hex, names plain or hex."""
    plain, in_hex = _pieces(wanted)
    ports = tuple(f"{port:04X}".encode() for port in wanted.ports)

    def may_hold(line: bytes) -> bool:
        at = line.find(_ADDRESS)
        if at < 0:
            inode = _INODE.search(line)
            known = inode is not None and int(inode[1]) in wanted.inodes
            return known or any(piece in line for piece in plain) or any(piece in line for piece in in_hex)
        family, rest = line[at + 7 : at + 11], line[at + 11 :]
        if family in (b"0100", b"0001"):
            # What is relative, or below /proc, says nothing by itself: the directory or the inode does.
            unclear = not rest.startswith((b"2F", b"00")) or b"2F70726F632F" in rest
            return unclear or any(piece in rest for piece in in_hex)
        return rest[:4] in ports and family in (b"0200", b"0002", b"0A00", b"000A")

    return Search((_ADDRESS, _SOCKET_MODE), lambda line: "event" if may_hold(line) else "nothing")


def lessons(wanted: Wanted) -> Search:
    """What teaches of inodes. A PATH record with an absolute name that is wanted teaches by itself; one with a relative
    name or one below /proc needs its directory, and one that makes or deletes a name needs to know the call.
    """
    plain, in_hex = _pieces(wanted)

    def need(line: bytes) -> Literal["event", "line", "nothing"]:
        if _SOCKET_MODE not in line or not (b" nametype=NORMAL" in line and _ABSOLUTE.search(line)):
            return "event"
        return "line" if any(piece in line for piece in plain) or any(piece in line for piece in in_hex) else "nothing"

    return Search((_SOCKET_MODE, *_BOOTS), need)


def _pieces(wanted: Wanted) -> tuple[list[bytes], list[bytes]]:
    plain = [piece.encode("utf-8", "surrogateescape") for piece in sorted(wanted.addresses)]
    return plain, [piece.hex().upper().encode() for piece in plain]
