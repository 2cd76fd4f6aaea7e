"""HTTP/2 header blocks of one direction (RFC 7541), also where its dynamic table was filled before anybody looked."""

from __future__ import annotations

import msgspec
from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKError
from hpack.table import HeaderTable
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, PushPromiseFrame

from sockwarden.requests.http2_frames import MOST_BLOCK
from sockwarden.requests.stretch import LostError

MOST_CONTINUATIONS = 128
"""Frames of one header block."""
MOST_TABLE = 64 << 10
"""Bytes of a dynamic table. An encoder says what it uses of what the other side allowed; Go allows 4096."""
MOST_LIST = 32 << 10
"""Bytes of one block's headers, decoded, as HTTP/2 counts them."""

_UNKNOWN = (b"\0unknown", b"\0unknown")
"""Stands for an entry of the dynamic table that was added before the capture. No header can have such a name."""


class Block(msgspec.Struct, frozen=True):
    """A whole header block.

    headers  in their order, names and values as Latin-1, pseudo-headers among them; without those that are unknown
    unknown  names, values or both of some headers are in a table that was filled before the capture
    ended    nothing follows it on its stream
    """

    stream: int
    headers: tuple[tuple[str, str], ...]
    unknown: bool
    ended: bool

    def get(self, name: str) -> str | None:
        """The last value of a header."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


class _LateTable(HeaderTable):
    """A dynamic table with entries before those that were seen.

    New entries push old ones back and an encoder can only name what is still there, so the entries that were seen are
    found by their place behind the newest; whatever lies further back is unknown. The true size is unknown as well:
    a greater one only keeps entries that nobody names any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._maxsize = MOST_TABLE

    def get_by_index(self, index: int) -> tuple[bytes, bytes]:
        if index > self.STATIC_TABLE_LENGTH + len(self.dynamic_entries):
            return _UNKNOWN
        return super().get_by_index(index)


class HeaderBlocks:
    """Puts the blocks of one direction together. late: the capture began within the connection."""

    def __init__(self, *, late: bool) -> None:
        self._decoder = Decoder(max_header_list_size=MOST_LIST)
        self._decoder.max_allowed_table_size = MOST_TABLE
        if late:
            self._decoder.header_table = _LateTable()
        self._open: HeadersFrame | PushPromiseFrame | None = None
        self._kept = bytearray()
        self._frames = 0

    @property
    def open(self) -> bool:
        """Whether the next frame has to go on with a block."""
        return self._open is not None

    def take(self, frame: Frame) -> Block | None:
        """A block where the frame ends it; of a promised request, None. LostError: the table is not known any more."""
        if isinstance(frame, ContinuationFrame):
            if self._open is None or self._open.stream_id != frame.stream_id:
                raise LostError("a header block goes on that did not begin")
        elif isinstance(frame, HeadersFrame | PushPromiseFrame) and self._open is None:
            self._open = frame
            self._frames = 0
            self._kept.clear()
        else:
            raise LostError("a header block was not ended")
        self._frames += 1
        self._kept += frame.data
        if self._frames > MOST_CONTINUATIONS or len(self._kept) > MOST_BLOCK:
            raise LostError("a header block is too long")
        if "END_HEADERS" not in frame.flags:
            return None
        first, self._open = self._open, None
        headers = self._decoded()
        return None if isinstance(first, PushPromiseFrame) else _block(first, headers)

    def _decoded(self) -> list[HeaderTuple]:
        try:
            return list(self._decoder.decode(bytes(self._kept), raw=True))
        except HPACKError as error:
            raise LostError("a header block cannot be decoded") from error


def _block(first: HeadersFrame, headers: list[HeaderTuple]) -> Block:
    known = [(name, value) for name, value in headers if _UNKNOWN[0] != name and _UNKNOWN[1] != value]
    texts = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in known)
    return Block(first.stream_id, texts, len(known) < len(headers), "END_STREAM" in first.flags)
