"""Gathering: the lines of an event, from one of them that called for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from sockwarden.auditrecords import may_have_address
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.candidates import Search
from sockwarden.readers.find import find
from sockwarden.readers.look import HEADER, needs_in
from sockwarden.readers.repeated import Repeated
from sockwarden.readers.stretches import REACH, Need, Places, Stretch, View

_NEAR = (1 << 12, 1 << 14, 1 << 16)
"""How near the lines of an event are looked for first, before the whole reach is."""
_MOST_FAR = 16
"""Events of a stretch or a view that are looked for in the whole reach by themselves; for more, all of it is read and
indexed.
"""
_HEADER_AT = re.compile(rb"^" + HEADER.pattern, re.MULTILINE)
_BLOCK = re.compile(rb"type=[A-Z_]{1,40} msg=(audit\([^)\n]{1,40}\)):[^\n]*\n(?:type=[A-Z_]{1,40} msg=\1:[^\n]*\n)*")
"""Lines of one event behind each other."""
_HEADS = frozenset(b"type=%s msg=" % kind for kind in (b"SYSCALL", b"SOCKADDR", b"CWD", b"PATH", b"PROCTITLE"))
"""What mostly stands before a stamp."""
_MOST_DONE = 4096
"""Places of lines that were given which are remembered; one that is not is found to be given when it is read."""
_ITEMS = re.compile(rb" items=(\d{1,4}) ")

_Given = dict[bytes, int]
"""Stamps of events whose lines were given, each with where the line is in the stream that called for them."""


def gathered(view: View, search: Search, places: Places) -> Iterator[bytes]:
    """The lines that places in a view call for, those of one event together as one text, in the order of the first that
    called for them. A line that is no record of auditd's calls for nothing; of lines that call for themselves,
    repetitions are left out.
    """
    repeated = Repeated()
    yield from _gathered(view, search, places, {}, repeated)
    yield from repeated.rest()


def gathered_again(stretch: Stretch, search: Search, places: Places) -> Iterator[bytes]:
    """The same of places in a stretch. As long as each event's lines lie together, little more than these is read."""
    given: _Given = {}
    repeated = Repeated()
    done: set[int] = set()
    behind = far = 0
    for number, (place, need) in enumerate(places):
        if isinstance(need, bytes):
            yield from repeated.take(need)
            continue
        if place < behind or place in done:
            continue
        found = _nearby(stretch, place)
        if found and _was_given(given, found.stamp, stretch.begin + place):
            continue
        if found and need == "directory" and _says_directory(found.text) and not _holds_directory(found.text, search):
            continue
        if found and found.is_whole:
            given[found.stamp] = stretch.begin + place
            behind = max(behind, found.behind)
            if len(done) > _MOST_DONE:
                done.clear()
            done.update(found.places)
            yield from repeated.rest()
            yield found.text
            continue
        near: View | None = None
        for reach in (*_NEAR[2:], REACH):
            far += reach == REACH
            near = stretch.near(place, reach, near) if far <= _MOST_FAR else None
            text = near and _Events(near, search, given).text(stretch.place_in(near, place), need, reach)
            if text is not None:
                break
        else:
            for view in stretch.views():
                rest = [(stretch.place_in(view, one), each) for one, each in places[number:]]
                yield from _gathered(view, search, rest, given, repeated)
            break
        if text:
            yield from repeated.rest()
            yield text
    yield from repeated.rest()


def _gathered(view: View, search: Search, places: Places, given: _Given, repeated: Repeated) -> Iterator[bytes]:
    events = _Events(view, search, given)
    for start, need in places:
        if isinstance(need, bytes):
            yield from repeated.take(need)
        elif text := events.text(start, need, REACH):
            yield from repeated.rest()
            yield text


class _Nearby(msgspec.Struct, gc=False):
    """An event's text and stamp, and whether that is all of it; and where else in the stretch its lines start: all that
    do before a place, or those in a list.
    """

    text: bytes
    stamp: bytes
    is_whole: bool
    behind: int = 0
    places: Sequence[int] = ()


def _nearby(stretch: Stretch, place: int) -> _Nearby | None:
    """What lies nearby of the event that a line is of; none of it is known to be all where a part may lie in another
    stretch. None for no such line.
    """
    found = _within(stretch, place, _NEAR[0])
    return _within(stretch, place, _NEAR[1]) if found and not found.is_whole else found


def _within(stretch: Stretch, place: int, near: int) -> _Nearby | None:
    """The same of what lies as near."""
    begin = max(stretch.begin + place - near, 0)
    text, offset = stretch.stream.piece(begin, begin + 2 * near), begin - stretch.begin
    header = HEADER.match(text, place - offset)
    if not header:
        return None
    stamp = header[1]
    first = text.find(stamp)
    start = text.rfind(b"\n", 0, first) + 1
    block = _BLOCK.match(text, start)
    # Mostly its lines lie behind each other, and that is all of them.
    if block and block[1] == stamp and start and start + offset >= 0 and text.find(stamp, block.end()) < 0:
        lines = block[0][:-1]
        return _Nearby(lines, stamp, _is_whole_nearby(lines), block.end() + offset)
    return _scattered(text, offset, stamp, first)


def _scattered(text: bytes, offset: int, stamp: bytes, at: int) -> _Nearby:
    """The same of lines that lie anywhere in a text, from the first stamp on."""
    lines, places, is_whole, stop = [], [], True, 0
    while at >= 0:
        start, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        is_head = text[start:at] in _HEADS or _stands_at(text, start, at)
        # What lies on the edge of what was read may be a part of a line.
        if stop < 0 or not start or not is_head or start + offset < 0:
            is_whole = False
            if stop < 0:
                break
        else:
            lines.append(text[start:stop])
            places.append(start + offset)
        at = text.find(stamp, stop)
    found = b"\n".join(lines)
    return _Nearby(found, stamp, is_whole and _is_whole_nearby(found), 0, places)


def _stands_at(text: bytes, start: int, at: int) -> bool:
    """Whether the record of a line has its stamp at a place."""
    header = HEADER.match(text, start)
    return header is not None and header.start(1) == at


_Span = tuple[int, int]
"""From where to where: of lines, up to the last one's newline."""


class _Events:
    """The lines of a view by their events."""

    def __init__(self, view: View, search: Search, given: _Given) -> None:
        self._view = view
        self._text = view.text
        self._search = search
        self._given = given
        self._far = 0
        self._index: dict[bytes, list[int]] = {}

    def stamp_at(self, start: int) -> bytes | None:
        """The stamp of the record in a line; None where there is none, or the line is too long."""
        header = HEADER.match(self._text, start)
        return header[1] if header and self._view.end_of(start) - start <= MOST_LINE_BYTES else None

    def text(self, start: int, need: Need, reach: int) -> bytes | None:
        """An event's lines, from one that calls for it; empty where they are not needed, or were given; None where they
        would have to be looked for farther than a reach.
        """
        stamp = self.stamp_at(start)
        if stamp is None or _was_given(self._given, stamp, self._view.at + start):
            return b""
        found = self._found(start, stamp, reach)
        if not found:
            return None
        text = b"\n".join([self._text[begin:end] for begin, end in found])
        is_wanted = _holds_directory(text, self._search)
        if need == "directory" and not is_wanted:
            return b""
        # What an earlier view was asked for already, that one gives.
        edge = self._view.begin
        before = ((at, min(end, self._view.end_of(edge - 1))) for at, end in found if at < edge)
        asked = set().union(*(needs_in(self._view, at, end, self._search) for at, end in before))
        if "event" in asked or ("directory" in asked and is_wanted):
            return b""
        self._given[stamp] = self._view.at + start
        return text

    def _found(self, start: int, stamp: bytes, reach: int) -> list[_Span]:
        """Where an event's lines are: nearby where it is whole there, else within the whole reach."""
        for near in _NEAR:
            if near <= reach:
                found = list(self._stamped(max(start - near, 0), start + near, stamp))
                text = b"\n".join([self._text[begin:end] for begin, end in found])
                if _is_whole_nearby(text) if near < _NEAR[-1] else _is_whole(text):
                    return found
        return self._far_apart(start, stamp) if reach == REACH else []

    def _far_apart(self, start: int, stamp: bytes) -> list[_Span]:
        self._far += 1
        if self._far <= _MOST_FAR:
            return list(self._stamped(max(start - REACH, 0), start + REACH, stamp))
        if not self._index:
            for match in _HEADER_AT.finditer(self._text):
                self._index.setdefault(match[1], []).append(match.start())
        return [(at, self._view.end_of(at)) for at in self._index.get(stamp, ()) if abs(at - start) <= REACH]

    def _stamped(self, begin: int, end: int, stamp: bytes) -> Iterator[_Span]:
        text, end = self._text, min(end, len(self._text))
        at = find(text, stamp, begin, end)
        while at >= 0:
            start, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
            if (header := HEADER.match(text, start)) and header[1] == stamp:
                yield start, stop
            at = find(text, stamp, stop, end) if stop < end else -1


def _was_given(given: _Given, stamp: bytes, at: int) -> bool:
    """Whether the event of a line at a place in the stream was given: of one that is farther away than the reach it is
    another's.
    """
    return stamp in given and at - given[stamp] <= REACH


def _says_directory(text: bytes) -> bool:
    """Whether the directory of who called is told: the kernel does that once."""
    return b"type=CWD " in text


def _holds_directory(text: bytes, search: Search) -> bool:
    """Whether the directory of who called holds what is wanted."""
    return any(b"type=CWD " in line and search.holds(line) for line in text.split(b"\n"))


def _is_whole_nearby(text: bytes) -> bool:
    """Whether it is whole, where few lines around were looked at: an address nearby is part of it; of a call without
    one nobody knows, unless it is one that has none.
    """
    return _is_whole(text) and (b"type=SOCKADDR " in text or not may_have_address(text))


def _is_whole(text: bytes) -> bool:
    """Whether the assembler would close the event: PROCTITLE is there, and what SYSCALL announces."""
    items = _ITEMS.search(text)
    paths = text.count(b"type=PATH ")
    announced = b"type=SYSCALL " in text and items is not None and paths >= int(items[1])
    return announced and b"type=PROCTITLE " in text and (not paths or b"type=CWD " in text)
