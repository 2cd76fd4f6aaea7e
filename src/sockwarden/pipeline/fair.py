"""A queue in which nobody waits for a crowd of somebody else's: one item of each key in turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by key, each key's in their order.

    most_of_one  items of one key that wait; no more are taken
    most         items that wait in all
    """

    def __init__(self, *, most_of_one: int, most: int) -> None:
        self._most_of_one = most_of_one
        self._most = most
        self._waiting: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, key: Hashable, item: Item) -> bool:
        """Takes an item in; False where there is no room."""
        waiting = self._waiting.get(key)
        if self._count >= self._most or (waiting is not None and len(waiting) >= self._most_of_one):
            return False
        if waiting is None:
            waiting = self._waiting[key] = deque()
        waiting.append(item)
        self._count += 1
        return True

    def take(self) -> Item:
        """The next item: the oldest of the key whose turn it is. Raises IndexError from an empty queue."""
        if not self._waiting:
            raise IndexError("the queue is empty")
        key, waiting = next(iter(self._waiting.items()))
        item = waiting.popleft()
        self._count -= 1
        if waiting:
            self._waiting.move_to_end(key)
        else:
            del self._waiting[key]
        return item
