"""The eBPF sensor: loads the programs of the best rung, keeps their maps to the sockets that there are, and reads what
they tell.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator

import msgspec

from sockwarden.errors import InputError
from sockwarden.sensors.ebpf import ladder, records
from sockwarden.sensors.ebpf.libbpf import Object, RefusedError
from sockwarden.sensors.ebpf.maps import RingBuffers
from sockwarden.sensors.ebpf.records import FLOOD, FLOOD_KEY, Counter, Record

_MOST_READ = 2048
"""Records taken out of a ring at once."""
WHOLE_PER_SECOND = 2500
"""Accesses of one process that are told whole in a second; what is more is counted."""
_PRESENT = (1).to_bytes(4, "little")


class Folded(msgspec.Struct, frozen=True):
    """Accesses of one process to one place that were counted only. accesses: since it was asked last; last: ns of
    CLOCK_MONOTONIC, of the last of them.
    """

    pid: int
    action: int
    place: int
    start: int
    accesses: int
    last: int


class EbpfSensor:
    """The programs in place, from `open` to `close`. One object serves one run, in one thread.

    rejected  records that could not be read
    """

    def __init__(self, *, only: str | None = None, whole_per_second: int = WHOLE_PER_SECOND) -> None:
        self.rejected = 0
        self._only = only
        self._whole = whole_per_second
        self._loaded: ladder.Loaded | None = None
        self._accesses: RingBuffers | None = None
        self._processes: RingBuffers | None = None
        self._watched: set[bytes] = set()
        self._folded: dict[bytes, tuple[int, int]] = {}
        self._last_counts: dict[Counter, int] = dict.fromkeys(Counter, 0)

    def open(self) -> ladder.Loaded:
        """Loads and attaches. Raises InputError, NoRungError among them; then nothing is in place."""
        loaded = ladder.climb(ladder.packaged(), only=self._only, configure=self._configure)
        try:
            self._accesses = RingBuffers(loaded.library, [loaded.object.map("accesses")])
            self._processes = RingBuffers(loaded.library, [loaded.object.map("processes")])
        except BaseException:
            loaded.close()
            raise
        self._loaded = loaded
        return loaded

    def _configure(self, opened: Object) -> None:
        opened.set_constant("whole_per_second", self._whole)

    @property
    def rung(self) -> str:
        """The rung of the ladder that it stands on."""
        return self._opened().rung.name

    def filenos(self) -> list[int]:
        """The descriptors to poll: accesses, processes."""
        return [ring.fileno() for ring in (self._accesses, self._processes) if ring]

    def accesses(self) -> list[Record]:
        """The accesses that have come, some of them."""
        return list(self._read(self._accesses))

    def processes(self) -> list[Record]:
        """What has happened to processes, and new listeners."""
        return list(self._read(self._processes))

    def _read(self, ring: RingBuffers | None) -> Iterator[Record]:
        self._opened()
        for raw in ring.consume(_MOST_READ)[0] if ring else ():
            try:
                yield records.read(raw)
            except (struct.error, ValueError):
                self.rejected += 1

    def watch(self, identities: Collection[bytes]) -> None:
        """Makes the map of watched sockets hold these keys and no others. Raises InputError where it is full."""
        watched = self._opened().object.map("watched")
        wanted = set(identities)
        try:
            for key in wanted - self._watched:
                watched.set(key, _PRESENT)
            for key in self._watched - wanted:
                watched.delete(key)
        except RefusedError as error:
            raise InputError(
                f"more than {watched.max_entries:,} names of sockets cannot be watched",
                where=error.where,
                why=error.why,
                todo="leave out the sockets of other users in [sockets] ignore",
            ) from error
        self._watched = wanted

    def leave_alone(self, identities: Collection[bytes]) -> None:
        """Takes sockets for none of a runtime's from now on, until they listen anew."""
        left_alone = self._opened().object.map("left_alone")
        for key in identities:
            left_alone.set(key, _PRESENT)

    def counts(self) -> dict[Counter, int]:
        """The programs' counters; after `close` as of then."""
        if self._loaded:
            counters = self._loaded.object.map("counters")
            self._last_counts = {each: counters.sums(each.to_bytes(4, "little"))[0] for each in Counter}
        return self._last_counts

    def folded(self) -> list[Folded]:
        """Floods since this was asked last. What has ended is forgotten by the map."""
        told = []
        now: dict[bytes, tuple[int, int]] = {}
        for key, value in self._opened().object.map("floods").items().items():
            _, start, folded, last, _, _ = FLOOD.unpack(value)
            if not folded:
                continue
            now[key] = (start, folded)
            known_start, known = self._folded.get(key, (start, 0))
            fresh = folded - (known if known_start == start else 0)
            if fresh > 0:
                told.append(Folded(*(*FLOOD_KEY.unpack(key), start, fresh, last)))
        self._folded = now
        return told

    def close(self) -> None:
        """Detaches and unloads everything; a second call does nothing."""
        if self._loaded:
            self.counts()
            for ring in (self._accesses, self._processes):
                if ring:
                    ring.close()
            self._loaded.close()
            self._loaded = self._accesses = self._processes = None

    def _opened(self) -> ladder.Loaded:
        if self._loaded is None:
            raise RuntimeError("the eBPF sensor is used outside open and close")
        return self._loaded


def own_network() -> int:
    """The network namespace of this process."""
    return os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - as its neighbours
