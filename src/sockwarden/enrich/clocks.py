"""CLOCK_MONOTONIC, by which the kernel stamps events, beside CLOCK_BOOTTIME, which /proc has and which counts sleep,
and CLOCK_REALTIME, which people and audit have.
"""

from __future__ import annotations

import time

_SHORTEST_SLEEP = 1_000_000


def asleep() -> int:
    """How long the machine has slept since its boot: CLOCK_BOOTTIME less CLOCK_MONOTONIC, ns. Exactly 0 where it never
    did: the clocks are read one after the other, so the least of a few differences is the true one.
    """
    found = min(-time.monotonic_ns() + time.clock_gettime_ns(time.CLOCK_BOOTTIME) for _ in range(3))
    return 0 if found < _SHORTEST_SLEEP else found


def of_wall(wall: int) -> int:
    """A time since the epoch as one of CLOCK_MONOTONIC, ns, by the clocks' distance now."""
    return wall - (time.time_ns() - time.monotonic_ns())


def to_wall(monotonic: int) -> int:
    """A time of CLOCK_MONOTONIC as one since the epoch, ns, by the clocks' distance now."""
    return monotonic + (time.time_ns() - time.monotonic_ns())


def wall_of_boottime(boottime: int) -> int:
    """A time of CLOCK_BOOTTIME as one since the epoch, ns."""
    return boottime + (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME))
