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
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: bytes) -> bool:
        return self._halves[2 * self._place(*_numbers(digest))] != 0

    def add(self, digest: bytes) -> None:
        """Takes one in, unless it is there."""
        first, second = _numbers(digest)
        place = self._place(first, second)
        if self._halves[2 * place]:
            return
        self._halves[2 * place], self._halves[2 * place + 1] = first, second
        self._count += 1
        if 3 * self._count > len(self._halves):
            self._double()

    def _place(self, first: int, second: int) -> int:
        """Where it is, or is to be."""
        halves = self._halves
        mask = len(halves) // 2 - 1
        place = first & mask
        while (held := halves[2 * place]) and (held != first or halves[2 * place + 1] != second):
            place = (place + 1) & mask
        return place

    def _double(self) -> None:
        old = self._halves
        self._halves = array("Q", bytes(2 * 8 * len(old)))
        for at in range(0, len(old), 2):
            if first := old[at]:
                place = self._place(first, old[at + 1])
                self._halves[2 * place], self._halves[2 * place + 1] = first, old[at + 1]


def _numbers(digest: bytes) -> tuple[int, int]:
    """Its halves; the first is never 0, which stands for none."""
    first, second = _HALVES(digest)
    return first or 1, second
