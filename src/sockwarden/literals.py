"""Literals that any match must contain: the seam between detectors and readers.

A detector declares clauses; a reader may skip an event that cannot satisfy them, and never has to.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

Clause = frozenset[tuple[str, str]]
"""Alternatives (field, text): a match has at least one of these fields, holding that text as a part of its value.

An empty text says only that the field must exist.
"""


class Alternative(NamedTuple):
    """What would satisfy a requirement: a field that holds a text which has this one in it or, where `whole`, is it.
    An empty text says only that the field must exist.
    """

    field: str
    text: str
    whole: bool = False


Requirement = frozenset[Alternative]
"""A clause that also says where a text is the whole value."""


class Wanted(msgspec.Struct, frozen=True):
    """What an event must contain to be of interest, any one of it.

    addresses  parts of a socket's address, as given or canonical
    inodes     inode numbers of socket files
    ports      TCP ports
    everything the detectors name nothing usable: skip no event
    """

    addresses: frozenset[str] = frozenset()
    inodes: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
    everything: bool = False

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(
            self.addresses | other.addresses,
            self.inodes | other.inodes,
            self.ports | other.ports,
            self.everything or other.everything,
        )


EVERYTHING = Wanted(everything=True)
