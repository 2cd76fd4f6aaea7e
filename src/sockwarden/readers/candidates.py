"""Candidates: the lines of an audit log that are worth more than a look, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at. Around one that may matter the lines of the same event are gathered (gathering.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers import scan
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.find import counts, find
from sockwarden.readers.scan import Walk
from sockwarden.readers.stretches import Need, Places, View

HEADER = re.compile(rb"(?:node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=(audit\([^)\n]{1,40}\))")
_OTHER = re.compile(rb"^(?!" + HEADER.pattern + rb")", re.MULTILINE)
_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb' name=(?:"/(?![^ "]*proc/)|2F(?![0-9A-F]*70726F632F))')
"""An absolute name that says where it leads; one below /proc may depend on the caller's directory."""

_ADDRESS = b" saddr="
_SOCKET_MODE = b" mode=014"
_BOOTS = (b"type=SYSTEM_BOOT ", b"type=KERNEL ")
_UNIX = (b"0100", b"0001")
_INET = (b"0200", b"0002", b"0A00", b"000A")
_HEAD = 8
"""Hex digits of an address that hold its family and, of TCP, its port."""
_NEAR_HEADER = 512
"""Bytes before a mode in which the end of the record's header mostly lies."""
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
    """

    address: Callable[[bytes], Need]
    socket_file: Callable[[bytes], Need]
    boot: Need
    holds: Callable[[bytes], bool]


def look(view: View, searches: Sequence[Search]) -> tuple[list[int], list[Places]]:
    """The lines of a view that are no records of auditd's: of another form, torn or too long. What each search finds in
    the others, as places_in.
    """
    if not scan.is_built():
        return _no_records(view), places_in(view, view.begin, view.end, searches)
    text = view.text
    others: list[int] = []
    found: list[list[tuple[int, Need]]] = [[] for _ in searches]
    of_address = _Judged([search.address for search in searches])
    of_socket_file = _Judged([search.socket_file for search in searches])
    of_boot = _needed(search.boot for search in searches)
    walk = Walk(text, view.begin, view.end, MOST_LINE_BYTES)
    for kind, start, at, stop in walk.lines():
        if kind == scan.SOCKET_FILE:
            needs = of_socket_file[bytes(text[at:stop])]
        elif kind == scan.ADDRESS:
            given = bytes(text[at:stop])
            family = given[:4]
            if family in _INET:
                kind, stop = scan.HEAD_OF_ADDRESS, min(at + _HEAD, stop)
                given = given[:_HEAD]
            needs = of_address[given] if family in _UNIX or family in _INET else ()
        elif kind == scan.BOOT:
            needs = of_boot
        else:
            others.append(start)
            continue
        if not needs:
            walk.pass_over(kind, at, stop)
        for number, need in needs:
            found[number].append((start, need))
    return others, list(found)


def _no_records(view: View) -> list[int]:
    text, begin, end = view.text, view.begin, view.end
    lines, records, typed = counts(text, (b"\n", b" msg=audit(", b"\ntype="), begin, end)
    # Those that start behind a newline of the view: one line less at its beginning, and one more at its end.
    typed += text.startswith(b"type=", begin) - text.startswith(b"type=", end)
    others: set[int] = set()
    if not lines == records == typed:
        others.update(match.start() for match in _OTHER.finditer(text, begin, end) if match.start() < end)
    while begin < end:
        last = text.rfind(b"\n", begin, begin + MOST_LINE_BYTES + 1)
        if last < 0:
            others.add(begin)
            last = view.end_of(begin)
        begin = last + 1
    return sorted(others)


def places_in(view: View, begin: int, end: int, searches: Sequence[Search]) -> list[Places]:
    """What each search finds in a part of a view. Of a line its first address or mode counts, as when it is parsed."""
    text = view.text
    found: list[list[tuple[int, Need]]] = [[] for _ in searches]
    of_address = _Judged([search.address for search in searches])
    of_socket_file = _Judged([search.socket_file for search in searches])
    of_boot = _needed(search.boot for search in searches)
    for at, needs in chain(
        _addresses(text, begin, end, of_address),
        _socket_files(text, begin, end, of_socket_file),
        _boots(text, begin, end, of_boot) if of_boot else (),
    ):
        start = text.rfind(b"\n", 0, at) + 1
        for number, need in needs:
            found[number].append((start, need))
    return list(found)


_Needs = tuple[tuple[int, Need], ...]
"""What several judges say that is called for, each with its place among them."""


def _needed(needs: Iterable[Need]) -> _Needs:
    return tuple((number, need) for number, need in enumerate(needs) if need != "nothing")


class _Judged(dict[bytes, _Needs]):
    """What texts call for by several judges; a text that comes again is judged once."""

    def __init__(self, judges: Sequence[Callable[[bytes], Need]]) -> None:
        super().__init__()
        self._judges = judges

    def __missing__(self, text: bytes) -> _Needs:
        needs = _needed(judge(text) for judge in self._judges)
        if len(self) >= _MOST_JUDGED:
            self.clear()
        if len(text) <= _MOST_TEXT:
            self[text] = needs
        return needs


_Found = Iterator[tuple[int, _Needs]]


def _addresses(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    """Of a TCP address the first bytes say all, up to the port; of a Unix socket's they say nothing."""
    known: dict[bytes, _Needs | None] = {}
    at = find(text, _ADDRESS, begin, end)
    while at >= 0:
        given = at + len(_ADDRESS)
        head = bytes(text[given : given + _HEAD])
        try:
            needs = known[head]
        except KeyError:
            family = head[:4]
            needs = None if family in _UNIX else judged[head] if family in _INET else ()
            if len(known) < _MOST_JUDGED:
                known[head] = needs
        if needs is None:
            needs = judged[bytes(text[given : text.find(b"\n", given)])]
        if needs:
            yield at, needs
        at = find(text, _ADDRESS, given, end)


def _socket_files(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    at = find(text, _SOCKET_MODE, begin, end)
    while at >= 0:
        stop = text.find(b"\n", at)
        # Behind the header the same socket's records are the same.
        body = text.rfind(b"): ", max(at - _NEAR_HEADER, 0), at)
        if body < 0:
            start = text.rfind(b"\n", 0, at) + 1
            body = max(text.find(b"): ", start, at), start)
        if needs := judged[bytes(text[body:stop])]:
            yield at, needs
        at = find(text, _SOCKET_MODE, stop, end)


def _boots(text: bytearray, begin: int, end: int, needs: _Needs) -> _Found:
    for boot in _BOOTS:
        at = find(text, boot, begin, end)
        while at >= 0:
            if not at or text[at - 1] in b"\n ":
                yield at, needs
            at = find(text, boot, at + len(boot), end)


def accesses(wanted: Wanted, *, by_inode: bool = False) -> Search:
    """The events that may hold what is wanted. Addresses stand in hex, names plain or hex. by_inode: which inodes are
    wanted is not known yet, so that every other socket file calls by its own.
    """
    in_name, in_address = _holding(wanted)
    ports = tuple(f"{port:04X}".encode() for port in wanted.ports)

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
        return int(inode[1]) if inode and by_inode else "nothing"

    return Search(of_address, of_socket_file, "nothing", in_name)


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

    return Search(lambda _: "nothing", of_socket_file, "event", in_name)


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
