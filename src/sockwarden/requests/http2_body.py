"""The first bytes of what is sent on an HTTP/2 stream: of a body, or of the first message that gRPC puts in it."""

from __future__ import annotations

import zlib

import msgspec

_PREFIX = 5
"""Of a gRPC message: whether it is compressed, and its length in four bytes."""
_GZIP = 16 + zlib.MAX_WBITS


class Content(msgspec.Struct, frozen=True):
    """What was kept; see `Asked`."""

    body: bytes
    size: int | None
    truncated: bool


class Body:
    """Keeps at most `most` bytes. framed: gRPC's messages; encoding: how compressed ones are, by the header's name."""

    def __init__(self, most: int, *, framed: bool, encoding: str = "") -> None:
        self._most = most
        self._encoding = encoding
        self._prefix: bytearray | None = bytearray() if framed else None
        self._kept = bytearray()

    def feed(self, piece: memoryview) -> int:
        """Takes bytes; says how many were kept."""
        if self._prefix is not None:
            head = piece[: _PREFIX - len(self._prefix)]
            self._prefix += head
            piece = piece[len(head) :]
        piece = piece[: max(self._limit - len(self._kept), 0)]
        self._kept += piece
        return len(piece)

    @property
    def enough(self) -> bool:
        """Nothing more is wanted."""
        return len(self._kept) >= self._limit and (self._prefix is None or len(self._prefix) == _PREFIX)

    @property
    def _limit(self) -> int:
        return self._most if self._prefix is None else min(self._most, self._length)

    @property
    def _length(self) -> int:
        return int.from_bytes(self._prefix[1:]) if self._prefix and len(self._prefix) == _PREFIX else 0

    def content(self, *, ended: bool) -> Content:
        """What is there. ended: nothing follows."""
        kept = bytes(self._kept)
        if self._prefix is None:
            return Content(kept, len(kept) if ended else None, not ended)
        if len(self._prefix) < _PREFIX:
            # A call may end without a message; a message may not end within its prefix.
            nothing = ended and not self._prefix
            return Content(b"", 0 if nothing else None, not nothing)
        if self._prefix[0]:
            return self._unpacked(kept)
        return Content(kept, self._length, len(kept) < self._length)

    def _unpacked(self, kept: bytes) -> Content:
        unpacker = zlib.decompressobj(_GZIP)
        try:
            body = unpacker.decompress(kept, self._most) if self._encoding == "gzip" and self._most else b""
        except zlib.error:
            body = b""
        # Go reads on where another gzip member follows.
        whole = unpacker.eof and not unpacker.unused_data
        return Content(body, len(body) if whole else None, not whole)
