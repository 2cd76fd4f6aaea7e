"""The compiled walk over the lines of a log (compiled/scan.c), where it was built; without it look.py does the same."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterator

_FIRST, _MOST = 64, 1024
"""Lines that are told of at once: few at first, since what comes most is soon known."""
MOST_NOTED, MANY = 8192, (1 << 32) - 1
"""Lines whose places are noted, and what stands for a place where there are more with the same text, as in scan.c."""


OTHER, ADDRESS, HEAD_OF_ADDRESS, SOCKET_FILE, BOOT = range(5)
"""What a line is, or a text that is known, as in scan.c."""


_spare: list[ctypes.Array[ctypes.c_char]] = []
"""What walks that are over have left: to fill a new one with zeros takes longer than to forget."""


class Walk:
    """A walk over the lines of one text after another."""

    def __init__(self, library: ctypes.CDLL, most_line: int) -> None:
        """library: what is compiled. most_line: bytes; a longer line is no record."""
        self._scan, self._know = library.sockwarden_scan, library.sockwarden_know
        self._most_line = most_line
        self._found = (ctypes.c_int64 * (4 * _MOST))()
        self._held = _spare.pop() if _spare else ctypes.create_string_buffer(library.sockwarden_walk_size())
        self._walk = ctypes.addressof(self._held)
        library.sockwarden_begin(self._walk)

    def lines(self, text: bytearray, begin: int, end: int, base: int = 0) -> Iterator[tuple[int, int, int, int]]:
        """Of the lines that start in a part of a text, and end there, those that are no records, and those of interest:
        the kind, where each starts, from where to where the text is that decides of it. One that is not to come again
        may still come a few times. The text must not change meanwhile; places that are noted are counted from the base.
        """
        held = ctypes.c_char.from_buffer(text) if text else ctypes.c_char()
        at, found, behind = ctypes.addressof(held), self._found, ctypes.c_int64(begin)
        most = _FIRST
        while behind.value < end:
            places = behind.value, end, base
            count = self._scan(self._walk, at, *places, self._most_line, found, most, ctypes.byref(behind))
            most = min(2 * most, _MOST)
            numbers = iter(found[: 4 * count])
            yield from zip(numbers, numbers, numbers, numbers, strict=True)

    def pass_over(self, kind: int, text: bytes) -> None:
        """Lines of a kind with this text are not to come again."""
        self._know(self._walk, kind, text, len(text), 0)

    def note(self, kind: int, text: bytes, number: int) -> None:
        """Neither are these, but where each starts is noted with the number."""
        self._know(self._walk, kind, text, len(text), number)

    def end(self) -> array[int] | None:
        """Ends the walk: what was noted, in pairs of the number, and the place or MANY; None beyond MOST_NOTED."""
        count = ctypes.c_int64.from_buffer(self._held).value
        noted = array("I")
        noted.frombytes(memoryview(self._held).cast("B")[8 : 8 + 8 * min(count, MOST_NOTED)])
        _spare.append(self._held)
        return noted if count <= MOST_NOTED else None
