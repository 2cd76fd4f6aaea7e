"""Records that did not arrive: counted where they are lost, and told."""

from __future__ import annotations

import socket

import msgspec

from sockwarden import netlink
from sockwarden.health import Trouble
from sockwarden.sensors.audit.privilege import boot_parameters
from sockwarden.sensors.audit.protocol import Status

_BETWEEN = 10.0
"""Seconds between two troubles about lost records; what is lost meanwhile is told with the next."""


class Losses(msgspec.Struct, frozen=True):
    """Records lost since the sensor was opened.

    overruns  times that our receive buffer was found to have overflown
    dropped   records that did not fit into it, from /proc/net/netlink; None where the kernel does not tell
    kernel    records that the kernel lost before sending them
    foreign   datagrams that did not come from the kernel; they were not used
    """

    overruns: int
    dropped: int | None
    kernel: int
    foreign: int


class Loss:
    """The counters of one run. overruns and foreign are counted by the reader itself."""

    def __init__(self) -> None:
        self.overruns = 0
        self.foreign = 0
        self._kernel = 0
        self._dropped: int | None = 0
        self._before = 0
        self._told = self.losses
        self._told_at = float("-inf")

    @property
    def losses(self) -> Losses:
        """As of the last count."""
        return Losses(self.overruns, self._dropped, self._kernel, self.foreign)

    def start(self, status: Status) -> None:
        """Counts from this status on."""
        self._before = status.lost

    def count(self, status: Status, records: socket.socket) -> None:
        """Reads the kernel's counters. Its `lost` goes back to 0 by `auditctl --reset-lost`."""
        grown = status.lost - self._before
        self._kernel += grown if grown >= 0 else status.lost
        self._before = status.lost
        self._dropped = netlink.drops_of(records)

    def tell(self, now: float, status: Status) -> list[Trouble]:
        """The trouble about what has been lost since the last one, not too often. now: seconds of a steady clock."""
        losses, told = self.losses, self._told
        dropped, kernel = (losses.dropped or 0) - (told.dropped or 0), losses.kernel - told.kernel
        overruns = losses.overruns - told.overruns
        if not (dropped > 0 or kernel or overruns) or now < self._told_at + _BETWEEN:
            return []
        self._told, self._told_at = losses, now
        words = []
        if dropped > 0 or overruns:
            words.append(f"{dropped or 'an unknown number of'} audit records did not fit into the watch's buffer")
        if kernel:
            words.append(f"the kernel lost {kernel} audit records before sending them")
            if not status.pid and boot_parameters().get("audit") in ("1", "on"):
                words.append("some or all of these may only have found no auditd, and still have reached the watch")
        detail = f"dropped {dropped}, overruns {overruns}, lost {kernel}"
        return [Trouble("audit-records-lost", "; ".join(words), detail)]
