"""HTTP/2 frames of one direction (RFC 9113, 4 and 6), out of bytes of which some need not be there."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PushPromiseFrame, RstStreamFrame

from sockwarden.requests.stretch import BEGAN_WITHIN, MOST_PIECES, LostError, Stretch

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_BLOCK = 32 << 10
"""Bytes of a header block, over all of its frames, that are kept."""

_HEAD = 9
_MOST_PLAUSIBLE = 1 << 20
"""Go's HTTP/2 server allows frames of this size, its gRPC server smaller ones."""
_KEPT = (HeadersFrame, ContinuationFrame, PushPromiseFrame, RstStreamFrame)
# By type (RFC 9113, 6): flags that it has, and the only length that it may have.
_FLAGS = {0: 0x09, 1: 0x2D, 2: 0, 3: 0, 4: 0x01, 6: 0x01, 7: 0, 8: 0}
_LENGTHS = {2: 5, 3: 4, 6: 8, 8: 4}
_OF_CONNECTION = (4, 6, 7)
_WINDOW_UPDATE = 8
_NOTHING = memoryview(b"")
_NO_FRAME = "it is no longer HTTP/2"


class Data(msgspec.Struct, frozen=True):
    """Bytes of a DATA frame without its padding. ended: nothing follows them on their stream."""

    stream: int
    piece: memoryview
    ended: bool


class Frames:
    """Cuts one direction into frames. preface: it begins as a client does; seek: it may begin within a frame.

    LostError is raised where the bytes are not HTTP/2, or those of interest are missing; nothing may be fed then.
    """

    def __init__(self, *, preface: bool = False, seek: bool = False) -> None:
        self._stretch = Stretch()
        self._preface = PREFACE if preface else b""
        self._seeks = MOST_PIECES if seek else 0
        self._head = bytearray()
        self._frame: Frame | None = None
        self._end = 0
        self._padding: int | None = 0
        self._kept = bytearray()

    @property
    def wanted(self) -> int:
        """The offset before which nothing more is wanted."""
        return self._stretch.wanted

    def skip(self) -> None:
        """Nothing more is wanted of the DATA frame that the last piece was of."""
        self._stretch.until = self._end

    def feed(self, offset: int, data: bytes) -> Iterator[Frame | Data]:
        """Frames with a header block, resets, and pieces of DATA frames: an empty one before and after its bytes."""
        if self._seeks:
            if not _plausible(data):
                self._seeks -= 1
                if not self._seeks:
                    raise LostError(BEGAN_WITHIN)
                return
            self._seeks = 0
        view = self._after_preface(self._stretch.place(offset, data))
        while True:
            frame = self._frame
            if frame is None:
                view, frame = self._head_from(view)
                if frame is None:
                    return
                if isinstance(frame, DataFrame):
                    yield Data(frame.stream_id, _NOTHING, ended=False)
            piece = view[: self._end - self._stretch.at]
            view = view[len(piece) :]
            content = self._payload(frame, piece)
            if content:
                yield Data(frame.stream_id, content, ended=False)
            if self._stretch.at < self._end:
                return
            self._frame = None
            yield from self._ended(frame)

    def _after_preface(self, view: memoryview) -> memoryview:
        piece = view[: len(self._preface)]
        if piece != self._preface[: len(piece)]:
            raise LostError("it does not begin as HTTP/2 does")
        self._preface = self._preface[len(piece) :]
        self._stretch.at += len(piece)
        return view[len(piece) :]

    def _head_from(self, view: memoryview) -> tuple[memoryview, Frame | None]:
        """Begins a frame where its head is whole; gives what is behind the head, and the frame."""
        piece = view[: _HEAD - len(self._head)]
        self._head += piece
        self._stretch.at += len(piece)
        if len(self._head) < _HEAD:
            return view[len(piece) :], None
        try:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self._head)))
        except HyperframeError as error:
            raise LostError(_NO_FRAME) from error
        self._head.clear()
        self._kept.clear()
        self._frame, self._end = frame, self._stretch.at + length
        self._padding = None if isinstance(frame, DataFrame) and "PADDED" in frame.flags else 0
        if isinstance(frame, _KEPT):
            if length > MOST_BLOCK:
                raise LostError("a header block is too long")
        elif not isinstance(frame, DataFrame):
            self.skip()
        return view[len(piece) :], frame

    def _payload(self, frame: Frame, piece: memoryview) -> memoryview:
        """Takes bytes of a payload; gives those that are content of a DATA frame."""
        start = self._stretch.at
        self._stretch.at += len(piece)
        if isinstance(frame, _KEPT):
            self._kept += piece
        if not isinstance(frame, DataFrame) or not piece or self._stretch.until == self._end:
            return _NOTHING
        if self._padding is None:
            self._padding = piece[0]
            piece = piece[1:]
            start += 1
            if self._padding > self._end - start:
                raise LostError(_NO_FRAME)
        content = piece[: max(self._end - self._padding - start, 0)]
        if self._stretch.at >= self._end - self._padding:
            self.skip()
        return content

    def _ended(self, frame: Frame) -> Iterator[Frame | Data]:
        if isinstance(frame, DataFrame):
            yield Data(frame.stream_id, _NOTHING, ended="END_STREAM" in frame.flags)
        elif isinstance(frame, _KEPT):
            try:
                frame.parse_body(memoryview(bytes(self._kept)))
            except HyperframeError as error:
                raise LostError(_NO_FRAME) from error
            yield frame


def _plausible(data: bytes) -> bool:
    """Whether frames begin where bytes begin that were read at once: each head in them has to be one."""
    at = 0
    while at == 0 or at + _HEAD <= len(data):
        length, kind, flags = int.from_bytes(data[at : at + 3]), data[at + 3 : at + 4], data[at + 4 : at + 5]
        stream = int.from_bytes(data[at + 5 : at + _HEAD])
        if len(data) < _HEAD or kind[0] not in _FLAGS or flags[0] & ~_FLAGS[kind[0]]:
            return False
        if length > _MOST_PLAUSIBLE or _LENGTHS.get(kind[0], length) != length or stream > _MOST_PLAUSIBLE:
            return False
        if kind[0] != _WINDOW_UPDATE and (stream == 0) != (kind[0] in _OF_CONNECTION):
            return False
        at += _HEAD + length
    return True
