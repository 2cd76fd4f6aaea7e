"""What the readers must not skip, from what rules and signatures require."""

from __future__ import annotations

from collections.abc import Iterable

from sockwarden.health import HEALTH
from sockwarden.literals import EVERYTHING, Clause, Wanted
from sockwarden.sockets import Catalogue, piece_of
from sockwarden.stories import REQUEST

_ADDRESSES = frozenset({"destination.address", "destination.path", "sockwarden.socket.address_as_given"})
_OF_CATALOGUE = frozenset({"sockwarden.socket.canonical", "sockwarden.socket.runtime", "sockwarden.socket.name"})
_INET = frozenset("0123456789abcdef.:[]")

_OWN = frozenset({HEALTH, REQUEST})
"""Datasets that a watch makes itself."""


def wanted_by(required: Iterable[tuple[Clause, ...]], catalogue: Catalogue) -> Wanted:
    """What documents must contain to be of interest to any detector. A detector that requires nothing of a socket's
    address wants everything: the readers know where addresses are, and of other fields nothing. One that judges health
    documents or requests wants nothing of them: no record carries those.
    """
    wanted = Wanted()
    for clauses in required:
        found = (_of_clause(clause, catalogue) for clause in clauses)
        wanted |= min(found, key=lambda one: (one.everything, len(one.addresses)), default=EVERYTHING)
    return wanted


def _of_clause(clause: Clause, catalogue: Catalogue) -> Wanted:
    wanted = Wanted()
    for field, text in clause:
        if field == "event.dataset" and text in _OWN:
            continue
        if field in _OF_CATALOGUE:
            wanted |= catalogue.wanted
        elif field in _ADDRESSES and set(text) - _INET and piece_of(text):
            wanted |= Wanted(addresses=frozenset({piece_of(text)}))
        else:
            return EVERYTHING
    return wanted
