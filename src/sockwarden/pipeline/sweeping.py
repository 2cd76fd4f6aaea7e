"""The sweep as a watch's looker: who holds a connection now, where no sensor has told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from sockwarden.enrich.procfs import boot
from sockwarden.errors import InputError
from sockwarden.pipeline.source import Told
from sockwarden.sensors.sweep import Sweep, document_of
from sockwarden.sockets.inventory import Inventory


class Sweeping:
    """A `Looker` by sock_diag and /proc."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._sweep = Sweep()
        self._boot = boot()

    @property
    def limits(self) -> Sequence[str]:
        """What the last sweep could not look at, or left out."""
        crowd = ["more processes hold connections than are told"] if self._sweep.untold else []
        return [*self._sweep.limits, *crowd]

    def look(self, inventory: Inventory) -> Iterator[Told]:
        """A document for each process that holds a connection which it did not hold at the last look."""
        try:
            found = self._sweep.look(inventory.live())
        except InputError:
            # The discovery asks the kernel the same and tells of it.
            return
        now = time.time()
        yield from (Told(document_of(held, now, self._boot)) for held in found if held.new)
