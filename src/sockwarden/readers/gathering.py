"""Gathering: the lines of an event, from one of them that called for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockwarden.auditrecords import Told
from sockwarden.readers.around import Around, is_whole, is_whole_nearby
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.candidates import Search
from sockwarden.readers.find import find
from sockwarden.readers.look import HEADER, event_of, needs_in
from sockwarden.readers.repeated import Repeated
from sockwarden.readers.stretches import REACH, Need, Places, Stretch, View

_NEAR = (1 << 12, 1 << 14, 1 << 16)
"""How near the lines of an event are looked for first, before the whole reach is."""
_MOST_FAR = 16
"""Events of a stretch or a view that are looked for in the whole reach by themselves; for more, all of it is read and
indexed.
"""
Gathered = tuple[bytes, Told | None]
"""The lines of an event, and what tells its likeness, where that is known."""
_HEADER_AT = re.compile(rb"^" + HEADER.pattern, re.MULTILINE)

_Given = dict[bytes, int]
"""Names of events whose lines were given, each with where the line is in the stream that called for them."""


def gathered(view: View, search: Search, places: Places) -> Iterator[Gathered]:
    """The lines that places in a view call for, those of one event together as one text, in the order of the first that
    called for them. A line that is no record of auditd's calls for nothing; of lines that call for themselves,
    repetitions are left out.
    """
    return _told_once(_gathered(view, search, places, {}))


def gathered_again(stretch: Stretch, search: Search, places: Places, *, with_likeness: bool) -> Iterator[Gathered]:
    """The same of places in a stretch. As long as each event's lines lie together, little more than these is read."""
    return _told_once(_gathered_around(stretch, search, places, with_likeness=with_likeness))


_Called = Iterator[bytes | Gathered]
"""Lines that call for themselves, and events."""


def _told_once(called: _Called) -> Iterator[Gathered]:
    """The same without lines that say nothing new."""
    repeated = Repeated()
    for each in called:
        for line in repeated.take(each) if isinstance(each, bytes) else repeated.rest():
            yield line, None
        if not isinstance(each, bytes):
            yield each
    for line in repeated.rest():
        yield line, None


def _gathered(view: View, search: Search, places: Places, given: _Given) -> _Called:
    events = _Events(view, search, given)
    for start, need in places:
        if isinstance(need, bytes):
            yield need
        elif text := events.text(start, need, REACH):
            yield text, None


def _gathered_around(stretch: Stretch, search: Search, places: Places, *, with_likeness: bool) -> _Called:
    given: _Given = {}
    around = Around(stretch, [at for at, need in places if not isinstance(need, bytes)], with_likeness=with_likeness)
    farther = _Farther(stretch, search, given)
    behind = 0
    for number, (place, need) in enumerate(places):
        if isinstance(need, bytes):
            yield need
            continue
        if place < behind:
            continue
        found = around.event(place)
        if found and _was_given(given, found.name, stretch.begin + place):
            continue
        if found and need == "directory" and _says_directory(found.text) and not _holds_directory(found.text, search):
            continue
        if found and found.is_whole:
            given[found.name] = stretch.begin + place
            behind = max(behind, found.behind)
            yield found.text, found.told
            continue
        text = farther.text(place, need)
        if text is None:
            for view in stretch.views():
                rest = [(stretch.place_in(view, one), each) for one, each in places[number:]]
                yield from _gathered(view, search, rest, given)
            return
        if text:
            yield text, None


class _Farther:
    """Looks farther for events of a stretch, a few."""

    def __init__(self, stretch: Stretch, search: Search, given: _Given) -> None:
        self._stretch = stretch
        self._search = search
        self._given = given
        self._count = 0

    def text(self, place: int, need: Need) -> bytes | None:
        """As _Events.text; None where the whole stretch has to be read for it."""
        near: View | None = None
        for reach in (*_NEAR[2:], REACH):
            self._count += reach == REACH
            near = self._stretch.near(place, reach, near) if self._count <= _MOST_FAR else None
            if near:
                events = _Events(near, self._search, self._given)
                text = events.text(self._stretch.place_in(near, place), need, reach)
                if text is not None:
                    return text
        return None


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

    def name_at(self, start: int) -> bytes | None:
        """What names the event of the record in a line; None where there is none, or the line is too long."""
        header = HEADER.match(self._text, start)
        return event_of(header) if header and self._view.end_of(start) - start <= MOST_LINE_BYTES else None

    def text(self, start: int, need: Need, reach: int) -> bytes | None:
        """An event's lines, from one that calls for it; empty where they are not needed, or were given; None where they
        would have to be looked for farther than a reach.
        """
        name = self.name_at(start)
        if name is None or _was_given(self._given, name, self._view.at + start):
            return b""
        found = self._found(start, name, reach)
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
        self._given[name] = self._view.at + start
        return text

    def _found(self, start: int, name: bytes, reach: int) -> list[_Span]:
        """Where an event's lines are: nearby where it is whole there, else within the whole reach."""
        for near in _NEAR:
            if near <= reach:
                found = list(self._named(max(start - near, 0), start + near, name))
                text = b"\n".join([self._text[begin:end] for begin, end in found])
                if is_whole_nearby(text) if near < _NEAR[-1] else is_whole(text):
                    return found
        return self._far_apart(start, name) if reach == REACH else []

    def _far_apart(self, start: int, name: bytes) -> list[_Span]:
        self._far += 1
        if self._far <= _MOST_FAR:
            return list(self._named(max(start - REACH, 0), start + REACH, name))
        if not self._index:
            for match in _HEADER_AT.finditer(self._text):
                self._index.setdefault(event_of(match), []).append(match.start())
        return [(at, self._view.end_of(at)) for at in self._index.get(name, ()) if abs(at - start) <= REACH]

    def _named(self, begin: int, end: int, name: bytes) -> Iterator[_Span]:
        text, end = self._text, min(end, len(self._text))
        stamp = name[name.rfind(b"audit(") :]
        at = find(text, stamp, begin, end)
        while at >= 0:
            start, stop = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
            if (header := HEADER.match(text, start)) and event_of(header) == name:
                yield start, stop
            at = find(text, stamp, stop, end) if stop < end else -1


def _was_given(given: _Given, name: bytes, at: int) -> bool:
    """Whether the event of a line at a place in the stream was given: of one that is farther away than the reach it is
    another's.
    """
    return name in given and at - given[name] <= REACH


def _says_directory(text: bytes) -> bool:
    """Whether the directory of who called is told: the kernel does that once."""
    return b"type=CWD " in text


def _holds_directory(text: bytes, search: Search) -> bool:
    """Whether the directory of who called holds what is wanted."""
    at = text.find(b"type=CWD ")
    while at >= 0:
        end = text.find(b"\n", at)
        if search.holds(text[text.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(text)]):
            return True
        at = text.find(b"type=CWD ", end) if end >= 0 else -1
    return False
