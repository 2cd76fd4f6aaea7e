"""Processes by pid, the latest of each and those before it; ended ones for a minute; all of them within bounds.

Where there are too many, the first to go is an ended one of the largest crowd: those that came from the same living
process. So a flood of short lives pushes out its own. Only where none has ended goes a living one, the least recently
used: it can be read again.
"""

from __future__ import annotations

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from sockwarden.enrich.process import Image, Process

_KEPT = 60_000_000_000
_MOST_ENDED_BYTES = 64 << 20
_DEEPEST = 16
"""Ancestors that a process holds after they left."""
_NEAREST = 8
"""Ancestors among which a living one is looked for."""


class Generations:
    """Processes by pid. A process that is entered has not ended.

    evicted  living or lately ended ones that had to go for the bounds
    """

    def __init__(self, most_ended: int, most_living: int) -> None:
        self.evicted = 0
        self._most_ended, self._most = most_ended, most_ended + most_living
        self._count = 0
        self._latest: OrderedDict[int, Process] = OrderedDict()
        self._earlier: dict[int, list[Process]] = {}
        self._ended = _Ended()

    def __len__(self) -> int:
        return self._count

    def latest(self, pid: int) -> Process | None:
        """The one that had this pid last, so far as is known."""
        return self._latest.get(pid)

    def every_latest(self) -> Iterable[Process]:
        """The latest of each pid."""
        return self._latest.values()

    def of(self, pid: int) -> Iterator[Process]:
        """All that had this pid, the latest first."""
        if process := self._latest.get(pid):
            yield process
            yield from reversed(self._earlier.get(pid, ()))

    def enter(self, process: Process) -> None:
        """Takes in a process. Whoever had its pid before it has ended; so has this one, where a later one is known."""
        known = self._latest.get(process.pid)
        if known is None or known.start <= process.start:
            if known:
                self.end(known, process.start)
                self._earlier.setdefault(process.pid, []).append(known)
                del self._latest[process.pid]
            self._latest[process.pid] = process
        else:
            insort(self._earlier.setdefault(process.pid, []), process, key=lambda each: each.start)
            self.end(process, known.start)
        self._count += 1
        while self._count > self._most:
            self._evict()

    def use(self, process: Process) -> None:
        """Notes that it was asked for or told of."""
        if self._latest.get(process.pid) is process:
            self._latest.move_to_end(process.pid)

    def end(self, process: Process, when: int) -> None:
        """Notes its end, if it has none yet."""
        if process.end is None:
            process.end = when
            self._ended.add(process)

    def revive(self, process: Process) -> None:
        """Takes its end back: it was that of its first thread, and another one executed. A later process with its pid
        shows that it ended all the same.
        """
        if process.end is not None and self._latest.get(process.pid) is process:
            process.end = None
            self._ended.remove(process)

    def forget(self, now: int) -> None:
        """Drops what ended a minute ago, and what there is too much of."""
        while (first := self._ended.first()) and first.end is not None and first.end < now - _KEPT:
            self._leave(first)
        while len(self._ended) > self._most_ended or self._ended.bytes > _MOST_ENDED_BYTES:
            self._evict()

    def _evict(self) -> None:
        if process := self._ended.first_of_largest():
            self._leave(process)
        else:
            self._drop(next(iter(self._latest.values())))
        self.evicted += 1

    def _leave(self, process: Process) -> None:
        self._ended.remove(process)
        self._drop(process)

    def _drop(self, process: Process) -> None:
        if self._latest.get(process.pid) is process:
            del self._latest[process.pid]
            self._count -= 1
            if earlier := self._earlier.get(process.pid):
                self._latest[process.pid] = earlier.pop()
        elif process in (earlier := self._earlier.get(process.pid, [])):
            earlier.remove(process)
            self._count -= 1
        if not self._earlier.get(process.pid, True):
            del self._earlier[process.pid]
        # Descendants hold it on as an ancestor: a chain of forks, each parent gone, must not grow without end.
        process.before = None
        process.image = Image(process.image.time, process.image.executable)
        last = process
        for _ in range(_DEEPEST):
            if last.parent is None:
                return
            last = last.parent
        if self._latest.get(last.pid) is not last:
            last.parent = None


_Key = int | str


class _End(NamedTuple):
    process: Process
    size: int
    crowd: _Key


class _Ended:
    """Processes in the order of their ends, and by crowd.

    bytes  what they hold of argv
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._all: OrderedDict[int, _End] = OrderedDict()
        self._crowds: dict[_Key, OrderedDict[int, Process]] = {}
        self._by_size: dict[int, dict[_Key, None]] = {}
        self._largest = 0

    def __len__(self) -> int:
        return len(self._all)

    def first(self) -> Process | None:
        return next((end.process for end in self._all.values()), None)

    def first_of_largest(self) -> Process | None:
        if self._largest < 2:
            return self.first()
        crowd = next(reversed(self._by_size[self._largest]))
        return next(iter(self._crowds[crowd].values()))

    def add(self, process: Process) -> None:
        images = (process.image, process.before)
        end = _End(process, sum(len(image.command or b"") for image in images if image), _crowd_of(process))
        self._all[id(process)] = end
        self._crowds.setdefault(end.crowd, OrderedDict())[id(process)] = process
        self.bytes += end.size
        self._resized(end.crowd, len(self._crowds[end.crowd]) - 1)

    def remove(self, process: Process) -> None:
        end = self._all.pop(id(process))
        del self._crowds[end.crowd][id(process)]
        self.bytes -= end.size
        self._resized(end.crowd, len(self._crowds[end.crowd]) + 1)

    def _resized(self, crowd: _Key, before: int) -> None:
        """Keeps the largest known: sizes change by one, so that one size below the largest there always is another."""
        size = len(self._crowds[crowd])
        if before:
            del self._by_size[before][crowd]
            if not self._by_size[before]:
                del self._by_size[before]
        if size:
            self._by_size.setdefault(size, {})[crowd] = None
        else:
            del self._crowds[crowd]
        self._largest = max(self._largest, size) if self._largest in self._by_size else size


def _crowd_of(process: Process) -> _Key:
    """The nearest ancestor that lives; far from any, the container or the cgroup."""
    for ancestor in islice(process.ancestors(), _NEAREST):
        if ancestor.end is None:
            return ancestor.pid
    return process.container.id if process.container else process.place.cgroup or ""
