"""Candidates: the lines of an audit log that are worth more than a look, found by literals in raw bytes.

Every access to a socket has a SOCKADDR record with its address, or a PATH record with a socket's mode; only these
lines are looked at (look.py). Around one that may matter the lines of the same event are gathered (gathering.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from sockwarden.literals import Wanted
from sockwarden.readers.stretches import Need

_INODE = re.compile(rb" inode=(\d{1,20}) ")
_ABSOLUTE = re.compile(rb'\)?: item=\d{1,4} name=(?:"/(?![^ "]*proc/)|2F(?![0-9A-F]*70726F632F))')
"""An absolute name that says where it leads, where the kernel prints it; one below /proc may depend on the caller's
directory.
"""

UNIX = (b"0100", b"0001")
INET = (b"0200", b"0002", b"0A00", b"000A")
"""How addresses in hex begin, by family and byte order; INET: of TCP, whose next four digits are the port."""
_PROC = b"70726F632F"
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


def accesses(wanted: Wanted, *, by_inode: bool = False) -> Search:
    """The events that may hold what is wanted. Addresses stand in hex, names plain or hex. by_inode: which inodes are
    wanted is not known yet, so that every other socket file calls by its own.
    """
    in_name, in_address = _holding(wanted)
    ports = tuple(f"{port:04X}".encode() for port in wanted.ports)

    def of_address(given: bytes) -> Need:
        if given[:4] in INET:
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
        plain = b" nametype=NORMAL" in body and _ABSOLUTE.match(body)
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
    """Whether bytes hold any of the pieces. Most hold none, so what many pieces share is looked for first."""
    signs = [(sign, [piece for piece in pieces if sign in piece]) for sign in _signs(tuple(sorted(pieces)))]

    def holds(line: bytes | bytearray) -> bool:
        for sign, shared in signs:
            if sign in line:
                for piece in shared:
                    if piece in line:
                        return True
        return False

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
