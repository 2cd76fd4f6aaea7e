"""Candidates: the lines of an audit log that are worth parsing, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at, and around one that may matter the lines of the same event are gathered. The lines of an event are
taken to be within 1 MiB of each other: thousands of records, many times what the kernel and auditd hold back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers.blocks import MOST_LINE_BYTES, too_long
from sockwarden.readers.tally import Tally

REACH = 1 << 20
"""How far apart the lines of one event may be."""
_NEAR = 1 << 12
"""Where they are looked for first."""

_HEADER = re.compile(rb"(?:node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=(audit\([^)\n]{1,40}\))")
_NO_HEADER = re.compile(rb"\n(?!" + _HEADER.pattern + rb"|\Z)")
_ITEMS = re.compile(rb" items=(\d{1,4}) ")
_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb' name="?(?:/(?!proc/)|2F(?!70726F632F))')
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
    """Goes through the input in views that begin with a newline and overlap by twice the reach, so that every place is
    looked at once, with the reach before and behind it in view.
    """
    view, begin = b"\n", 0
    seen: set[bytes] = set()
    for block in chain(blocks, [None]):
        view += block or b""
        end = len(view) if block is None else max(view.rfind(b"\n", 0, max(len(view) - REACH, 0)), begin)
        stamps: set[bytes] = set()
        for at in sorted(_places(view, begin, end, search)):
            yield from _around(view, at, search, seen, stamps)
        kept = max(view.rfind(b"\n", 0, max(end - REACH, 0)), 0)
        view, begin, seen = view[kept:], end - kept, stamps


def _places(view: bytes, begin: int, end: int, search: Search) -> Iterator[int]:
    """Where lines start (after their newline) that are to be looked at."""
    for match in _NO_HEADER.finditer(view, begin, end):
        yield match.start() + 1
    for anchor in search.anchors:
        at = view.find(anchor, begin, end)
        while at >= 0:
            yield view.rfind(b"\n", 0, at) + 1
            at = view.find(anchor, view.find(b"\n", at), end)


def _around(view: bytes, start: int, search: Search, seen: set[bytes], stamps: set[bytes]) -> Iterator[bytes]:
    """The lines that the one at `start` calls for, unless its event was given before."""
    line = view[start : view.find(b"\n", start)]
    header = _HEADER.match(line)
    if not header:
        yield line
        return
    need = search.need(line)
    if need == "line":
        yield line
    elif need == "event" and header[1] not in seen and header[1] not in stamps:
        stamps.add(header[1])
        yield from _event(view, start, header[1])


def _event(view: bytes, start: int, stamp: bytes) -> list[bytes]:
    """The lines of an event around one of them, looked for nearby first, and as far as the reach until it is whole."""
    found: list[bytes] = []
    for reach in (_NEAR, _NEAR << 4, REACH):
        found = list(_stamped(view, max(start - reach, 0), start + reach, stamp))
        text = b"\n".join(found)
        # Nearby the address must be there too: an event may have none, and is then looked for a little further.
        if _is_whole(text) and (reach > _NEAR or b"type=SOCKADDR " in text):
            break
    return found


def _stamped(view: bytes, begin: int, end: int, stamp: bytes) -> Iterator[bytes]:
    at = view.find(stamp, begin, end)
    while at >= 0:
        line_start, line_end = view.rfind(b"\n", 0, at) + 1, view.find(b"\n", at)
        line = view[line_start:line_end]
        if (header := _HEADER.match(line)) and header[1] == stamp:
            yield line
        at = view.find(stamp, line_end, end)


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
