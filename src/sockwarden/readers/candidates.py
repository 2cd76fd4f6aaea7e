"""Candidates: the lines of an audit log that are worth parsing, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at, and of one that may matter the whole event is taken. The lines of an event are taken to be within
one block of each other (4 MiB, many times what the kernel and auditd hold back).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, NamedTuple

from sockwarden.auditrecords import REASONS
from sockwarden.literals import Wanted
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.tally import Tally

_HEADER = re.compile(rb"\n(?:node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=audit\(([^)\n]{1,40})\)")
_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb' name="?(?:/|2F)(?!/*proc/|(?:2F)*70726F632F)')

_ADDRESS = b" saddr="
_SOCKET_MODE = b" mode=014"
_BOOTS = (b"type=SYSTEM_BOOT ", b"type=KERNEL ")


class Search(NamedTuple):
    """What to look for.

    anchors   bytes that mark the lines to look at
    need      of such a line: its whole event, the line alone, or nothing
    thorough  lines that are no plain record (torn, or of another form) are given as well, to be parsed or counted
    """

    anchors: tuple[bytes, ...]
    need: Callable[[bytes], Literal["event", "line", "nothing"]]
    thorough: bool


class _Needed(NamedTuple):
    """What a block needs: events by their `time:serial`, and lines by themselves, in their order."""

    stamps: set[bytes]
    lines: dict[bytes, None]


def lines(blocks: Iterator[bytes], search: Search | None, tally: Tally) -> Iterator[bytes]:
    """The lines that are needed; all of them without a search."""
    block, before, needed = b"", set[bytes](), _Needed(set(), {})
    for following in chain(blocks, [b""]):
        needed_next = _needed(following, search) if search else _Needed(set(), {})
        stamps = before | needed.stamps | needed_next.stamps
        for line in _select(block, search, _Needed(stamps, needed.lines), tally):
            if len(line) > MOST_LINE_BYTES:
                tally.reject(REASONS["oversize"], line)
            else:
                yield line
        block, before, needed = following, needed.stamps, needed_next


def _select(block: bytes, search: Search | None, needed: _Needed, tally: Tally) -> list[bytes]:
    if search and not search.thorough and not needed.stamps and _HEADER.match(b"\n" + block[:400]):
        return list(needed.lines)
    found = block.split(b"\n")[:-1]
    tally.lines += len(found)
    if search is None:
        return found
    stamps, alone = needed
    headers: list[bytes] = _HEADER.findall(b"\n" + block)
    if len(headers) == len(found):
        pairs = zip(found, headers, strict=True)
        if not alone:
            return [line for line, stamp in pairs if stamp in stamps]
        return [line for line, stamp in pairs if stamp in stamps or line in alone]
    return [
        line for line in found if not (header := _HEADER.match(b"\n" + line)) or header[1] in stamps or line in alone
    ]


def _needed(block: bytes, search: Search) -> _Needed:
    stamps, alone = set[bytes](), dict[bytes, None]()
    for anchor in search.anchors:
        at = block.find(anchor)
        while at >= 0:
            start, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at)
            line = block[start:end]
            need = search.need(line)
            if need == "event" and (header := _HEADER.match(b"\n" + line)):
                stamps.add(header[1])
            elif need == "line":
                alone[line] = None
            at = block.find(anchor, end)
    return _Needed(stamps, alone)


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

    return Search((_ADDRESS, _SOCKET_MODE), lambda line: "event" if may_hold(line) else "nothing", thorough=True)


def lessons(wanted: Wanted) -> Search:
    """What teaches of inodes. A PATH record with an absolute name that is wanted teaches by itself; one with a relative
    name or one below /proc needs its directory, and one that makes or deletes a name needs to know the call.
    """
    plain, in_hex = _pieces(wanted)

    def need(line: bytes) -> Literal["event", "line", "nothing"]:
        if _SOCKET_MODE not in line or not (b" nametype=NORMAL" in line and _ABSOLUTE.search(line)):
            return "event"
        return "line" if any(piece in line for piece in plain) or any(piece in line for piece in in_hex) else "nothing"

    return Search((_SOCKET_MODE, *_BOOTS), need, thorough=False)


def _pieces(wanted: Wanted) -> tuple[list[bytes], list[bytes]]:
    plain = [piece.encode("utf-8", "surrogateescape") for piece in sorted(wanted.addresses)]
    return plain, [piece.hex().upper().encode() for piece in plain]
