"""What came last, without its order: a third of the memory of an OrderedDict's keys."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class Recent(Generic[_Key]):
    """Of the keys that were added the last: at most so many, and at least half as many."""

    def __init__(self, most: int) -> None:
        self._most_of_one = most // 2
        self._newer: set[_Key] = set()
        self._older: set[_Key] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._newer or key in self._older

    def add(self, key: _Key) -> None:
        """Takes a key, which may be here already."""
        if len(self._newer) >= self._most_of_one:
            self._newer, self._older = set(), self._newer
        self._newer.add(key)
