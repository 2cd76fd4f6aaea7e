"""Events around places of a stretch: where an event's lines lie near to one of them, little more than these is read.

What is compiled (compiled/gather.c) does that for many places at once where it was built, and tells likenesses too.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from sockwarden import compiled
from sockwarden.auditrecords import Told, may_have_address, may_lack_request
from sockwarden.readers.look import HEADER, event_of
from sockwarden.readers.stretches import Stretch

_NEAR, _FAR = 3 << 10, 1 << 14
"""How near lines are looked for at first, and then, as in gather.c."""
_BLOCK = re.compile(rb"type=[A-Z_]{1,40} msg=(audit\([^)\n]{1,40}\)):[^\n]*\n(?:type=[A-Z_]{1,40} msg=\1:[^\n]*\n)*")
"""Lines of one event behind each other."""
_HEADS = frozenset(b"type=%s msg=" % kind for kind in (b"SYSCALL", b"SOCKADDR", b"CWD", b"PATH", b"PROCTITLE"))
"""What mostly stands before a stamp."""
_ITEMS = re.compile(rb"type=SYSCALL [^\n]*? items=(\d{1,4}) ")
_AT_ONCE, _ROOM, _NUMBERS = 64, 1 << 19, 9
"""Places that are handed to what is compiled, bytes for it to write to, and how many numbers it tells of each."""


_Gather = Callable[..., int]


@lru_cache(maxsize=1)
def _room() -> ctypes.Array[ctypes.c_char]:
    """What is compiled writes to, and is taken at once."""
    return ctypes.create_string_buffer(_ROOM)


class Nearby(msgspec.Struct, gc=False):
    """An event's lines and name, which is its node and stamp, and whether these are all.

    behind  of lines that lie behind each other and are all: where the next starts in the stretch, else 0
    told    what tells its likeness, where that was asked for and is known
    """

    text: bytes
    name: bytes
    is_whole: bool
    behind: int = 0
    told: Told | None = None


class Around:
    """Looks around places of a stretch, which are asked for in order; some may be left out."""

    def __init__(self, stretch: Stretch, places: Sequence[int], *, with_likeness: bool) -> None:
        library = compiled.library()
        self._gather = library.sockwarden_gather if library else None
        self._with_likeness = with_likeness
        self._stretch = stretch
        self._places = array("q", places)
        self._at = self._first = self._behind = 0
        """Numbers of places: the last that was asked for, and from which to before which all is told of."""
        self._told = array("q", bytes(8 * _NUMBERS * _AT_ONCE))
        self._written = b""

    def event(self, place: int) -> Nearby | None:
        """What lies nearby of the event that a line is of; none of it is known to be all where a part may lie in
        another stretch. None for no such line.
        """
        return (self._gather and self._whole(place, self._gather)) or _nearby(self._stretch, place)

    def _whole(self, place: int, gather: _Gather) -> Nearby | None:
        """What is compiled tells: all of an event, or nothing."""
        while self._places[self._at] != place:
            self._at += 1
        if self._at >= self._behind:
            self._tell(gather)
        at = (self._at - self._first) * _NUMBERS
        has_address, behind, begin, text, stamp, shared, own, time, serial = self._told[at : at + _NUMBERS]
        written = self._written
        lines = written[begin:text]
        if not lines or not (has_address or not may_have_address(lines)) or may_lack_request(lines):
            return None
        told = (written[stamp:shared], written[shared:own], time, serial) if shared > stamp else None
        return Nearby(lines, written[text:stamp], is_whole=True, behind=behind, told=told)

    def _tell(self, gather: _Gather) -> None:
        """Has places told of, from the one that is asked for on."""
        room = _room()
        self._first = self._at
        file, size, origin = self._stretch.file_at(self._places[self._at])
        around = (ctypes.c_int64 * 3)(file, size, origin)
        last = min(self._at + _AT_ONCE, len(self._places))
        places = self._places[self._at : bisect_left(self._places, size - origin, self._at + 1, last)]
        at, told = places.buffer_info()[0], self._told.buffer_info()[0]
        counted = gather(around, at, len(places), self._with_likeness, room, _ROOM, told)
        self._behind = self._first + counted
        self._written = ctypes.string_at(room, max(self._told[6 : counted * _NUMBERS : _NUMBERS]))


def _nearby(stretch: Stretch, place: int) -> Nearby | None:
    found = _within(stretch, place, _NEAR)
    return _within(stretch, place, _FAR) if found and not found.is_whole else found


def _within(stretch: Stretch, place: int, near: int) -> Nearby | None:
    """The same of what lies as near."""
    begin = max(stretch.begin + place - near, 0)
    text, offset = stretch.stream.piece(begin, begin + 2 * near), begin - stretch.begin
    header = HEADER.match(text, place - offset)
    if not header:
        return None
    name, stamp = event_of(header), header[2]
    first = text.find(stamp)
    start = text.rfind(b"\n", 0, first) + 1
    block = _BLOCK.match(text, start)
    # Mostly its lines lie behind each other, and that is all of them.
    if block and block[1] == name and start and start + offset >= 0 and text.find(stamp, block.end()) < 0:
        lines = block[0][:-1]
        return Nearby(lines, name, is_whole_nearby(lines), block.end() + offset)
    return _scattered(text, offset, name, stamp)


def _scattered(text: bytes, offset: int, name: bytes, stamp: bytes) -> Nearby:
    """The same of lines that lie anywhere in a text, so far into the stretch."""
    lines, is_all, stop, at = [], True, 0, text.find(stamp)
    while at >= 0 and stop >= 0:
        start, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        named = _named(text, start, at)
        # What lies on the edge of what was read may be a part of a line.
        if stop < 0 or not start or named is None or (start + offset < 0 and named == name):
            is_all = False
        elif named == name:
            lines.append(text[start:stop])
        at = text.find(stamp, stop)
    found = b"\n".join(lines)
    return Nearby(found, name, is_all and is_whole_nearby(found))


def _named(text: bytes, start: int, at: int) -> bytes | None:
    """What names the event of a line whose record has its stamp at a place; None where it has not."""
    if text[start:at] in _HEADS:
        return text[at : text.find(b")", at) + 1]
    header = HEADER.match(text, start)
    return event_of(header) if header and header.start(2) == at else None


def is_whole_nearby(text: bytes) -> bool:
    """Whether it is whole, where few lines around were looked at: an address nearby is part of it; of a call without
    one nobody knows, unless it is one that has none.
    """
    return is_whole(text) and (b"type=SOCKADDR " in text or not may_have_address(text))


def is_whole(text: bytes) -> bool:
    """Whether the event is over: PROCTITLE is there, what SYSCALL announces, and what an io_uring was asked for."""
    items = _ITEMS.search(text)
    paths = text.count(b"type=PATH ")
    announced = items is not None and paths >= int(items[1])
    is_over = announced and b"type=PROCTITLE " in text and (not paths or b"type=CWD " in text)
    return is_over and not may_lack_request(text)
