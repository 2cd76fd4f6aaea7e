"""What came last, without its order, as sets: an OrderedDict's keys take more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_Key = TypeVar("_Key")
_Key_contra = TypeVar("_Key_contra", contravariant=True)


class _Held(Protocol[_Key_contra]):
    """What keys are held in."""

    def __len__(self) -> int: ...

    def __contains__(self, key: _Key_contra, /) -> bool: ...

    def add(self, key: _Key_contra, /) -> object:
        """Takes one in, which may be here."""


class Recent(Generic[_Key]):
    """The keys that came last: at most so many, and at least half as many. empty: makes what they are held in."""

    def __init__(self, most: int, empty: Callable[[], _Held[_Key]] = set) -> None:
        self._most_of_one = most // 2
        self._empty = empty
        self._newer, self._older = empty(), empty()

    def __contains__(self, key: _Key) -> bool:
        return key in self._newer or key in self._older

    def add(self, key: _Key) -> bool:
        """Takes a key in; False where it is here, and stays in its place."""
        newer = self._newer
        before = len(newer)
        if self._older and key in self._older:
            return False
        newer.add(key)
        if len(newer) == before:
            return False
        if before + 1 >= self._most_of_one:
            self._newer, self._older = self._empty(), newer
        return True
