"""Where the bytes of one direction lie, and which of them were never handed over."""

from __future__ import annotations

BEGAN_WITHIN = "the capture began within the connection"
"""Why a direction is lost in which no message was seen to begin."""
MOST_PIECES = 8
"""Pieces of a direction at whose beginning a message is looked for, where the capture began within it."""


class LostError(Exception):
    """Where messages of a direction begin is not known any more. Says why, as a sentence's end."""


class Stretch:
    """Keeps count of a direction's offsets.

    at     the offset of the next byte that is looked at; before the first bytes come, 0
    until  bytes before this offset are of no interest: they may be missing
    """

    def __init__(self) -> None:
        self.at = 0
        self.until = 0
        self._begun = False

    def place(self, offset: int, data: bytes) -> memoryview:
        """What of the data is new. LostError where bytes of interest are missing."""
        view = memoryview(data)
        if not self._begun:
            self._begun = True
            self.at = offset
        if offset > self.at:
            if offset > self.until:
                raise LostError("bytes of the connection were lost")
            self.at = offset
        return view[self.at - offset :]

    @property
    def wanted(self) -> int:
        """The offset before which nothing more is wanted."""
        return max(self.at, self.until)
