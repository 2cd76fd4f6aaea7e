"""The eBPF sensor: loads the programs of the best rung, keeps their maps to the sockets that there are, and reads what
they tell.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator

from sockwarden.errors import InputError
from sockwarden.sensors.ebpf import ladder, records
from sockwarden.sensors.ebpf.libbpf import RefusedError
from sockwarden.sensors.ebpf.maps import RingBuffers
from sockwarden.sensors.ebpf.objects import Object
from sockwarden.sensors.ebpf.records import FLOOD, FLOOD_KEY, Action, Counter, Kin, Record
from sockwarden.sensors.ebpf.streams import Streams

_MOST_READ = 2048
"""Records taken out of a ring at once."""
WHOLE_PER_SECOND = 2500
"""Accesses of one program that are told whole in a second; what is more is counted."""
_PASSING = "sys_exit_passing__called"
_ALONE = ("unix_stream_connect", "file_receive")
"""Hooks without which nothing else tells of an access."""
_PRESENT = (1).to_bytes(4, "little")


class EbpfSensor:
    """The programs in place, from `open` to `close`. One object serves one run, in one thread.

    rejected  records that could not be read
    missing   accesses that were counted only, and nobody can tell any more whose they were
    missed    calls that a hook's program was not there for: see `_see_missed`
    """

    def __init__(self, *, only: str | None = None, whole_per_second: int = WHOLE_PER_SECOND) -> None:
        self.rejected = 0
        self.missing = 0
        self.missed = 0
        self._only = only
        self._whole = whole_per_second
        self._loaded: ladder.Loaded | None = None
        self._accesses: RingBuffers | None = None
        self._processes: RingBuffers | None = None
        self._alone: list[str] = []
        self._watched: set[bytes] = set()
        self._floods: dict[bytes, int] = {}
        self._folded = 0
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
        hooks = {f"{hook}__{loaded.rung.name}" for hook in _ALONE}
        self._alone = [one.name for one in loaded.object.programs() if one.name in hooks]
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

    def serve(self, pids: Collection[int]) -> None:
        """Has the programs look at what these processes read, too: they listened before the programs were there."""
        servers = self._opened().object.map("servers")
        for pid in pids:
            servers.set((pid % servers.max_entries).to_bytes(4, "little"), b"\1")

    @property
    def streams(self) -> Streams | None:
        """Where what passes is left; None where this kernel does not have the program for it."""
        loaded = self._opened()
        if _PASSING in loaded.rung.without:
            return None
        ring, wanted = loaded.object.map("streams"), loaded.object.map("wanted")
        return Streams(ring.fd, ring.max_entries, wanted.fd)

    def mend(self) -> int:
        """Puts back what others took out of the map of watched sockets: how many keys."""
        watched = self._opened().object.map("watched")
        gone = [key for key in self._watched if watched.get(key) is None]
        for key in gone:
            watched.set(key, _PRESENT)
        return len(gone)

    def leave_alone(self, identities: Collection[bytes]) -> None:
        """Takes sockets for none of a runtime's from now on, until they listen anew."""
        left_alone = self._opened().object.map("left_alone")
        for key in identities:
            left_alone.set(key, _PRESENT)

    def count(self, counter: Counter) -> int:
        """One of the programs' counters."""
        if self._loaded is None:
            return self._last_counts[counter]
        return self._loaded.object.map("counters").sums(counter.to_bytes(4, "little"))[0]

    def counts(self) -> dict[Counter, int]:
        """The programs' counters; after `close` as of then."""
        if self._loaded:
            counters = self._loaded.object.map("counters")
            self._last_counts = {each: counters.sums(each.to_bytes(4, "little"))[0] for each in Counter}
            self._see_missed(self._loaded)
        return self._last_counts

    def _see_missed(self, loaded: ladder.Loaded) -> None:
        """A thread that is preempted within a program of fentry's holds it up: until it runs again, the kernel passes
        over that program on its processor.
        """
        self.missed = sum(map(loaded.object.misses, self._alone))

    def folded(self) -> dict[Kin, int]:
        """Accesses that were counted only since this was asked last."""
        counted = self.counts()[Counter.FOLDED]
        if counted == self._folded + self.missing:
            return {}
        fresh: dict[Kin, int] = {}
        floods: dict[bytes, int] = {}
        for key, value in self._opened().object.map("floods").items().items():
            kin, (_, folded, _, _) = Kin(*FLOOD_KEY.unpack(key)), FLOOD.unpack(value)
            if not folded or kin.action == Action.LISTEN:
                continue
            floods[key] = folded
            known = self._floods.get(key, 0)
            # The map forgets what has not come for long, and a flood that comes again counts anew.
            if more := folded - known if folded >= known else folded:
                fresh[kin] = more
        self._floods = floods
        self._folded += sum(fresh.values())
        # Counted before the map was looked at, and not in it: it had no room for so many floods.
        self.missing = max(0, counted - self._folded)
        return fresh

    def detach(self) -> None:
        """Takes the programs out of their hooks: nothing more comes, and what has come can still be read."""
        if self._loaded:
            self._loaded.object.detach()

    def close(self) -> None:
        """Detaches and unloads everything; a second call does nothing."""
        if self._loaded:
            self.detach()
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
