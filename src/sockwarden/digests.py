"""Digests that were met, in some 30 bytes each: a set of Python's takes three times that, and long logs make many."""

from __future__ import annotations

import struct
from array import array

_LEAST = 1 << 10
"""Places of an empty table; it doubles when two thirds are taken."""
_HALVES = struct.Struct("=QQ").unpack


class Digests:
    """A set of digests of 16 bytes, as halves in a table with open addressing and linear probing."""

    def __init__(self) -> None:
        self._halves = array("Q", bytes(16 * _LEAST))
        self._mask = _LEAST - 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: bytes) -> bool:
        return self._halves[self._place(*_HALVES(digest))] != 0

    def add(self, digest: bytes) -> bool:
        """Takes one in; False where it is there."""
        first, second = _HALVES(digest)
        place, halves = self._place(first, second), self._halves
        if halves[place]:
            return False
        halves[place], halves[place + 1] = first or 1, second
        self._count += 1
        if 3 * self._count > len(halves):
            self._double()
        return True

    def _place(self, first: int, second: int) -> int:
        """Where its first half is, or is to be; that is never 0 there, which stands for none."""
        halves, mask, first = self._halves, self._mask, first or 1
        place = first & mask
        while (held := halves[2 * place]) and (held != first or halves[2 * place + 1] != second):
            place = (place + 1) & mask
        return 2 * place

    def _double(self) -> None:
        old = self._halves
        self._halves, self._mask = array("Q", bytes(2 * 8 * len(old))), 2 * self._mask + 1
        for at in range(0, len(old), 2):
            if first := old[at]:
                place = self._place(first, old[at + 1])
                self._halves[place], self._halves[place + 1] = first, old[at + 1]
