"""Kinds: programs that no rule tells apart are alike, and so are addresses of sockets of the same name."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from sockwarden.auditrecords import Likeness, Reach, iso
from sockwarden.detect import Engine
from sockwarden.document import get
from sockwarden.enrich import name_component
from sockwarden.pipeline.alike.gaps import addressed, canonical_of, named_as
from sockwarden.sockets import Catalogue, Lessons, RuntimeSocket, kind_of

_PROGRAM = frozenset({"process.name", "process.executable"})
_ADDRESS = frozenset(
    {
        *("destination.address", "destination.path"),
        *("sockwarden.socket.address_as_given", "sockwarden.socket.canonical"),
    }
)
TOLD_APART = _PROGRAM | _ADDRESS
"""Fields that rules may look at, as long as they say of each the same."""
_MOST_KNOWN = 4096
"""Programs and addresses whose kinds are kept; a log may bring any number."""


class _Place(NamedTuple):
    """The socket that was reached, by its name; of what kind that is; and whether its inode was another's, too."""

    socket: RuntimeSocket
    kind: tuple[object, ...]
    may_be_others: bool


class Kinds:
    """What of a stream's accesses is of one kind.

    catalogue  None where an address is taken as it was given
    """

    def __init__(self, engine: Engine, lessons: Lessons, catalogue: Catalogue | None) -> None:
        self._engine = engine
        self._lessons = lessons
        self._catalogue = catalogue
        self._program = lru_cache(maxsize=_MOST_KNOWN)(self._kind_of_program)
        self._place = lru_cache(maxsize=_MOST_KNOWN)(self._place_of)

    def key(self, likeness: Likeness) -> tuple[tuple[object, ...], bool]:
        """Equal where accesses are alike in all that rules tell apart; and whether what they reached is of a kind, so
        that it may be another's.
        """
        program, reach = self._program(likeness.program), likeness.reach
        place = self._place(reach) if reach else None
        if not reach or not place or (place.may_be_others and self._was_another(reach, place.socket, likeness)):
            return (likeness.key, program, reach), False
        return (likeness.key, program, place.kind), True

    def _was_another(self, reach: Reach, socket: RuntimeSocket, likeness: Likeness) -> bool:
        """Whether by its inode another socket was reached, too."""
        moment = iso(likeness.time), likeness.serial
        return not self._lessons.sockets_at("", reach.device.decode(), reach.inode.decode(), moment) <= {socket}

    def _kind_of_program(self, program: tuple[bytes, bytes]) -> tuple[object, ...]:
        """Which component's path it has, whether that was deleted, and what rules say of it; itself where that is not
        known.
        """
        document = named_as(program)
        process = document["process"]
        said = self._engine.said_of(_PROGRAM, document)
        if said is None:
            return program
        name_component(document)
        deleted = process.get("executable", "").endswith(" (deleted)")
        return tuple(process), deleted, get(document, "sockwarden.actor.component"), said

    def _place_of(self, reach: Reach) -> _Place | None:
        """None where it is no socket by its name, or nobody knows what rules say of it."""
        given, canonical = reach.address.decode("ascii"), canonical_of(reach.address)
        socket = self._catalogue.path(canonical) if self._catalogue else None
        if socket is None:
            return None
        # A rule's alerts tell which of both addresses makes the match.
        pairs = dict.fromkeys(((given, canonical), (given, given), (canonical, canonical)))
        said = [self._engine.said_of(_ADDRESS, addressed(*pair)) for pair in pairs]
        if None in said:
            return None
        kind = (socket.runtime, socket.name, given == canonical, kind_of(given, None, canonical), *said)
        ever = self._lessons.ever("", reach.device.decode(), reach.inode.decode())
        return _Place(socket, kind, may_be_others=not ever <= {socket})
