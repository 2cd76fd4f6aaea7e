"""Lines that teach the same: of those between two other lessons, the first and the last moment say all.

Busy sockets are named thousands of times; what is learnt of a name on an inode is from when to when it was seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

_DISORDER = 100
"""How far serials may fall back while nothing else happens than that CPUs log side by side."""
_Moment = tuple[int, int]
"""Milliseconds since the epoch, and serial."""


class _Told(msgspec.Struct):
    """The earliest moment that was told, the latest that is known, and its line while that is held back."""

    earliest: _Moment
    latest: _Moment
    number: int = 0
    line: bytes = b""


class Repeated:
    """Holds back lines that differ from one that was told in nothing but when they were."""

    def __init__(self) -> None:
        self._told: dict[bytes, _Told] = {}
        self._highest: dict[bytes, int] = {}
        self._count = 0

    def take(self, line: bytes) -> Iterator[bytes]:
        """Takes a record's line, and gives what is to be told now. Where serials begin again the machine may have been
        started again, and all that is said anew counts.
        """
        head, _, rest = line.partition(b" msg=audit(")
        stamp, _, body = rest.partition(b")")
        time, _, serial = stamp.partition(b":")
        try:
            moment = (int(time.replace(b".", b"")), int(serial))
        except ValueError:
            yield line
            return
        if moment[1] + _DISORDER < self._highest.get(head, 0):
            yield from self.rest()
        self._highest[head] = max(moment[1], self._highest.get(head, 0))
        told = self._told.get(head + body)
        if told is None:
            self._told[head + body] = _Told(moment, moment)
            yield line
        elif moment < told.earliest:
            told.earliest = moment
            yield line
        elif moment > told.latest:
            self._count += 1
            told.latest, told.number, told.line = moment, self._count, line

    def rest(self) -> Iterator[bytes]:
        """What is held back, in the order it came; from here on, nothing was told."""
        for told in sorted(self._told.values(), key=lambda told: told.number):
            if told.line:
                yield told.line
        self._told.clear()
        self._highest.clear()
