"""What a sensor says of its own limits, whichever it is."""

from __future__ import annotations

import msgspec


class BlindSpot(msgspec.Struct, frozen=True):
    """What is not seen, why, and what can be done about it."""

    what: str
    why: str
    todo: str


class Unwatched(msgspec.Struct, frozen=True):
    """A path that is not watched, and why: the kernel's reason."""

    path: str
    why: str


class Lost(msgspec.Struct, frozen=True):
    """What did not arrive whole since the sensor was opened.

    places      events that never came, by where they were lost: `where` of the metric sockwarden_lost_total
    incomplete  events that came with parts missing
    rejected    messages of the kernel that could not be read
    """

    places: dict[str, int] = {}
    incomplete: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """Events that never came."""
        return sum(self.places.values())
