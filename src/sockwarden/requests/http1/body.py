"""The body of one message, followed to its end through a stream of which much is not seen (RFC 9112, 6 and 7.1)."""

from __future__ import annotations

import re
from enum import Enum

from sockwarden.requests.message import NEVER

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_LONGEST_CHUNK_LINE = 18


class _Part(Enum):
    SIZE = 1
    DATA = 2
    END_OF_CHUNK = 3
    END_OF_BODY = 4


class Body:
    """Takes a body's bytes in order and keeps the first of them.

    length     in bytes; None for chunks
    kept       the first bytes, at most `most`, decoded from chunks
    announced  bytes of content that are known to come, or to have come
    ended      the next byte is no longer the body's
    refused    why the chunks are not to be followed; empty as long as they are

    Chunks have to be as plain as every real client writes them. Extensions, trailers and bare line feeds, on which
    servers differ, are refused.
    """

    def __init__(self, length: int | None, most: int) -> None:
        self.length = length
        self.kept = bytearray()
        self.announced = length or 0
        self.ended = length == 0
        self.refused = ""
        self._most = most
        self._cut = False
        self._part = _Part.SIZE if length is None else _Part.DATA
        self._left = length or 0
        self._line = bytearray()

    @property
    def whole(self) -> bool:
        """All of the body is there and kept."""
        return self.ended and self.announced == len(self.kept)

    @property
    def full(self) -> bool:
        """No more of the body will be kept."""
        return self.ended or self._cut or self.announced > len(self.kept) == self._most

    @property
    def left(self) -> int:
        """Bytes from here that are content for certain: they may be missing."""
        return self._left

    def skip(self, count: int) -> None:
        """Passes over at most `left` bytes that nobody saw."""
        self._cut = True
        self._pass(count)

    def take(self, data: bytes, start: int) -> int:
        """Takes of data, from start; gives where it stopped: at data's end, the body's, or where it was refused."""
        while start < len(data) and not self.ended and not self.refused:
            if self._part is _Part.DATA:
                stop = min(len(data), start + self._left)
                if not self._cut:
                    self.kept += data[start : min(stop, start + self._most - len(self.kept))]
                self._pass(stop - start)
            else:
                stop = self._take_line(data, start)
            start = stop
        return start

    def _pass(self, count: int) -> None:
        self._left -= count
        if self._left == 0:
            self._part = _Part.END_OF_CHUNK
            self.ended = self.length is not None

    def _take_line(self, data: bytes, start: int) -> int:
        newline = data.find(b"\n", start, start + _LONGEST_CHUNK_LINE + 1)
        stop = newline + 1 or min(len(data), start + _LONGEST_CHUNK_LINE + 1)
        self._line += data[start:stop]
        if newline >= 0 or len(self._line) > _LONGEST_CHUNK_LINE:
            self._end_line(bytes(self._line))
            self._line.clear()
        return stop

    def _end_line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            self._begin_chunk(line)
        elif line != b"\r\n":
            of_chunk = self._part is _Part.END_OF_CHUNK
            self.refused = "a chunk did not end where it had to" if of_chunk else "the chunks have a trailer"
        elif self._part is _Part.END_OF_CHUNK:
            self._part = _Part.SIZE
        else:
            self.ended = True

    def _begin_chunk(self, line: bytes) -> None:
        match = _CHUNK_SIZE.fullmatch(line)
        size = int(match[1], 16) if match else NEVER
        if size >= NEVER:
            self.refused = "the size of a chunk is not a plain number"
            return
        self._left = size
        self.announced += size
        self._part = _Part.DATA if size else _Part.END_OF_BODY
