"""The compiled walk over the lines of a log (scan.c), where it was built; without it candidates.py does the same."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

_LIBRARY = Path(__file__).with_name("libscan.so")
_VERSION = 1
_FIRST, _MOST = 64, 1024
"""Lines that are told of at once: few at first, since what comes most is soon known to be of no interest."""


OTHER, ADDRESS, HEAD_OF_ADDRESS, SOCKET_FILE, BOOT = range(5)
"""What a line is, or a text of no interest, as in scan.c."""


def _load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        if library.sockwarden_scan_version() != _VERSION:
            return None
    except (OSError, AttributeError):
        return None
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    library.sockwarden_known_size.restype = library.sockwarden_scan.restype = size
    library.sockwarden_scan.argtypes = [pointer, size, size, size, pointer, pointer, size, pointer]
    library.sockwarden_know.argtypes = [pointer, ctypes.c_int, pointer, size]
    library.sockwarden_forget.argtypes = [pointer]
    return library


_library = _load()


_spare: list[ctypes.Array[ctypes.c_char]] = []
"""What walks that are over have left: to fill a new one with zeros takes longer than to forget."""


def is_built() -> bool:
    """Whether the compiled walk is here."""
    return _library is not None


class Walk:
    """A walk over the lines that start in a part of a text, and end there; the text must not change meanwhile."""

    def __init__(self, text: bytearray, begin: int, end: int, most_line: int) -> None:
        """most_line: bytes; a longer line is no record."""
        assert _library is not None  # noqa: S101 - who asks has asked is_built
        self._scan, self._know = _library.sockwarden_scan, _library.sockwarden_know
        self._text = ctypes.c_char.from_buffer(text) if text else ctypes.c_char()
        self._at, self._end, self._most_line = begin, end, most_line
        self._known = _spare.pop() if _spare else ctypes.create_string_buffer(_library.sockwarden_known_size())
        _library.sockwarden_forget(ctypes.addressof(self._known))

    def lines(self) -> Iterator[tuple[int, int, int, int]]:
        """Lines that are no records, and those of interest: the kind, where each starts, from where to where the text
        is that decides of it. One that is not to come again may still come a few times.
        """
        text, known = ctypes.addressof(self._text), ctypes.addressof(self._known)
        found, behind = (ctypes.c_int64 * (4 * _MOST))(), ctypes.c_int64(self._at)
        most = _FIRST
        while behind.value < self._end:
            count = self._scan(text, behind.value, self._end, self._most_line, known, found, most, ctypes.byref(behind))
            most = min(2 * most, _MOST)
            numbers = iter(found[: 4 * count])
            yield from zip(numbers, numbers, numbers, numbers, strict=True)
        _spare.append(self._known)

    def pass_over(self, kind: int, begin: int, end: int) -> None:
        """Lines of a kind with this text are not to come again."""
        self._know(ctypes.addressof(self._known), kind, ctypes.addressof(self._text) + begin, end - begin)
