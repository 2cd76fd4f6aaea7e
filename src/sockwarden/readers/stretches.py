"""Stretches of a stream, each to be read by itself: in any process, in any order, with the same answers.

A line belongs to the stretch that it starts in. A plain file is cut at fixed places, whatever the number of processors;
what is packed can only be read from its start, and is one stretch.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from operator import itemgetter
from typing import Literal, NamedTuple

from sockwarden.readers import scan
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.streams import Stream

STRETCH_BYTES = 1 << 24
REACH = 1 << 21
"""How far apart the lines of one event may be: thousands of records, many times what kernel and auditd hold back."""


_MARGIN = 1 << 16
"""Bytes beyond a reach, of which a line may take some."""
MOST_SEEN = scan.MOST_NOTED
"""Places that are kept of a look at a stretch; with more, it must be looked at again."""
Need = Literal["event", "line", "directory", "nothing"] | int | bytes
"""What a line calls for: its whole event; itself; its event if the caller's directory holds what is wanted; nothing; a
number: its event if that inode is wanted; bytes: itself, and that is it.
"""
Places = Sequence[tuple[int, Need]]
"""Where lines start that call for anything, each with what, in order."""
PIECE_BYTES = MOST_LINE_BYTES + 2
"""What is looked at at once: what a processor's cache holds, and the longest line with the newlines around it."""


_KEPT: tuple[Need, ...] = ("event", "directory")


class Seen(NamedTuple):
    """What a look at a stretch of records found for the next: where lines start, from the stretch's beginning.

    events, directories  those that call for either
    noted                those of other socket files, in pairs: the inode's number, the place; MANY for places not kept
    inodes               these numbers
    """

    events: array[int]
    directories: array[int]
    noted: array[int]
    inodes: dict[int, int]

    def places(self, inodes: AbstractSet[int]) -> Places | None:
        """Where to look when these inodes are wanted, in order; None where not all of it is known."""
        numbers = {self.inodes[inode] for inode in self.inodes.keys() & inodes}
        pairs = zip(self.noted[::2], self.noted[1::2], strict=True) if numbers else ()
        wanted = [place for number, place in pairs if number in numbers]
        if scan.MANY in wanted:
            return None
        directories: list[tuple[int, Need]] = [(at, "directory") for at in self.directories]
        return sorted([*((at, "event") for at in chain(self.events, wanted)), *directories], key=itemgetter(0))


class View(NamedTuple):
    """Bytes of a stream, with the reach on both sides.

    text        the bytes, whole lines; used again for the next view, so that nothing of it may be kept
    begin, end  the lines that start here belong to the view: both are where a line starts, or the end of the text
    size        how many bytes of the stream it stands for
    at          where the text starts in the stream, where that matters
    """

    text: bytearray
    begin: int
    end: int
    size: int
    at: int = 0

    def line(self, start: int) -> bytes:
        """The line that starts at a place, without its newline."""
        return bytes(self.text[start : self.end_of(start)])

    def end_of(self, start: int) -> int:
        """Where that line ends: at its newline."""
        return self.text.find(b"\n", start)


class Stretch:
    """A part of a stream, from one place to another; `end` is None for all that is left."""

    def __init__(self, stream: Stream, begin: int = 0, end: int | None = None) -> None:
        self.stream = stream
        self.begin = begin
        self.end = end
        self.seen: Seen | None = None

    def see(self, places: Places, noted: array[int], inodes: dict[int, int]) -> None:
        """Keeps what was seen, as Seen has it, unless that is too much."""
        if len(places) + len(noted) // 2 <= MOST_SEEN:
            events, directories = (array("I", [at for at, each in places if each == need]) for need in _KEPT)
            self.seen = Seen(events, directories, noted, inodes)

    def file_at(self, place: int) -> tuple[int, int, int]:
        """The plain file that a line that was seen is in: its descriptor, its size, and where in it the stretch begins,
        which may be before its start.
        """
        file, start, size = self.stream.file_at(self.begin + place)
        return file, size, self.begin - start

    def near(self, place: int, reach: int, before: View | None = None) -> View | None:
        """What lies around a line that was seen, as far as a reach: the view before, where it holds that; None where
        lines are too long for it.
        """
        at, size = self.begin + place, self.stream.plain_size or 0
        if before and before.at <= max(at - reach, 0) and min(at + reach, size) <= before.at + len(before.text):
            return before
        around = reach + min(reach, _MARGIN)
        begin, end = max(at - around, 0), at + around
        text = self.stream.read(begin, end)
        view = _view(text, at - begin, at - begin, first=not begin, last=end >= size, at=begin)
        if view.at + len(text) < min(at + reach, size):
            return None
        return view._replace(begin=max(self.begin - view.at, 0), end=len(text))

    def place_in(self, view: View, place: int) -> int:
        """Where a line that was seen starts in a view of the stretch."""
        return self.begin + place - view.at

    @property
    def size(self) -> int:
        """Bytes; 0 where that is not known before it is read."""
        return 0 if self.end is None else self.end - self.begin

    def pieces(self) -> Iterator[View | None]:
        """Its lines, whole, in pieces that a cache holds, with nothing around them; None where that cannot be had: of
        what is packed, or where a line is too long.
        """
        if self.end is None:
            yield None
            return
        at, begin = max(self.begin - 1, 0), 0 if not self.begin else None
        while at < self.end:
            text = self.stream.read(at, at + PIECE_BYTES)
            if at + len(text) >= (self.stream.plain_size or 0) and not text.endswith(b"\n"):
                text += b"\n"
            stop = text.rfind(b"\n") + 1
            if not stop:
                yield None
                return
            begin = text.find(b"\n") + 1 if begin is None else begin
            end = stop if at + stop < self.end else _line_from(text, self.end - at) or stop
            yield View(text, begin, max(begin, end), 0, at)
            at, begin = at + stop, 0

    def views(self) -> Iterator[View]:
        """The stretch with what lies around it, in pieces of bounded size."""
        if self.end is None:
            yield from _sliding(self.stream.chunks())
            return
        before = max(self.begin - REACH, 0)
        text = self.stream.read(before, self.end + REACH)
        whole = self.end + REACH >= (self.stream.plain_size or 0)
        end = min(self.end - before, len(text))
        yield _view(text, self.begin - before, end, first=not before, last=whole, at=before)

    def chunks(self) -> Iterator[bytes]:
        """Its lines, whole, in pieces of bounded size that may end anywhere."""
        if self.end is None:
            yield from self.stream.chunks()
            return
        inside = self.begin == 0
        at = max(self.begin - 1, 0)
        for chunk in self.stream.chunks(at):
            start = 0
            if not inside:
                start = chunk.find(b"\n") + 1
                if not start:
                    at += len(chunk)
                    if at >= self.end:
                        return
                    continue
                if at + start >= self.end:
                    return
                inside = True
            last = chunk.find(b"\n", max(self.end - 1 - at, start)) if at + len(chunk) >= self.end else -1
            yield chunk[start : last + 1] if last >= 0 else chunk[start:]
            if last >= 0:
                return
            at += len(chunk)


def stretches_of(stream: Stream) -> list[Stretch]:
    """An open stream as its stretches, in order."""
    size = stream.plain_size
    if size is None:
        return [Stretch(stream)]
    return [Stretch(stream, at, min(at + STRETCH_BYTES, size)) for at in range(0, size, STRETCH_BYTES)]


def _sliding(chunks: Iterator[bytes]) -> Iterator[View]:
    """Views over what can be read once only, from its start."""
    kept, begin, first = bytearray(), 0, True
    for chunk in chunks:
        kept += chunk
        while len(kept) - begin >= STRETCH_BYTES + REACH:
            around = kept[: begin + STRETCH_BYTES + REACH]
            yield _view(around, begin, begin + STRETCH_BYTES, first=first, last=False)
            past = max(begin + STRETCH_BYTES - REACH, 0)
            first = first and not past
            del kept[:past]
            begin += STRETCH_BYTES - past
    while begin < len(kept):
        end = min(begin + STRETCH_BYTES, len(kept))
        yield _view(bytearray(kept), begin, end, first=first, last=True)
        begin = end


def _view(text: bytearray, begin: int, end: int, *, first: bool, last: bool, at: int = 0) -> View:
    """Leaves whole lines in the text; first, last: the stream begins or ends with it."""
    size = end - begin
    if not last:
        del text[max(text.rfind(b"\n") + 1, end) :]
    if not text.endswith(b"\n"):
        # The last line of all; or one that runs on behind the reach, and is too long for anybody.
        text += b"\n"
    begin, end = _line_from(text, begin), _line_from(text, end)
    cut = 0 if first else min(text.find(b"\n") + 1, begin)
    del text[:cut]
    return View(text, begin - cut, end - cut, size, at + cut)


def _line_from(text: bytearray, at: int) -> int:
    """Where the first line starts that does not start before a place."""
    return text.find(b"\n", at - 1) + 1 if at else 0
