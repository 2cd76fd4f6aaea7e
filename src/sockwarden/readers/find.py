"""Finding bytes in large buffers: by SIMD where its library is there, else by Python's own search. Same answers."""

from __future__ import annotations

from collections.abc import Callable

_Text = bytes | bytearray
_Search = Callable[[_Text, bytes, int, int], int]


def _find(text: _Text, piece: bytes, begin: int, end: int) -> int:
    return text.find(piece, begin, end)


def _count(text: _Text, piece: bytes, begin: int, end: int) -> int:
    return text.count(piece, begin, end)


try:
    from stringzilla import count as _simd_count
    from stringzilla import find as _simd_find
except ImportError:
    find: _Search = _find
    """Where a piece begins within [begin, end), -1 where it does not."""
    count: _Search = _count
    """How often it is there, copies that overlap left out."""
else:
    find, count = _simd_find, _simd_count

_BLOCK = 1 << 18


def counts(text: _Text, pieces: tuple[bytes, ...], begin: int, end: int) -> list[int]:
    """How often each piece begins within [begin, end); of one text for all, while it is in the processor's cache."""
    found = [0] * len(pieces)
    for start in range(begin, end, _BLOCK):
        stop = min(start + _BLOCK, end)
        for number, piece in enumerate(pieces):
            found[number] += count(text, piece, start, min(stop + len(piece) - 1, len(text)))
    return found
