"""An event: the records that share a node, a time and a serial."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from sockwarden.auditrecords.record import Record


class Event(msgspec.Struct, gc=False):
    """Records of one event, in the order they came.

    complete is False where the end of the event was never seen and records it announces are missing.
    """

    node: bytes
    time: int
    serial: int
    records: list[Record]
    complete: bool = True

    def first(self, kind: str) -> Record | None:
        """The first record of a type."""
        for record in self.records:
            if record.type == kind:
                return record
        return None

    def all(self, kind: str) -> list[Record]:
        """Every record of a type."""
        return [record for record in self.records if record.type == kind]

    def digest(self) -> str:
        """Identifies the event's content, the same from the wire and from any log: sha256 in hex.

        Over time, serial and the kernel's text of each record, sorted. Left out, since they differ by the way an
        event came: node, auditd's interpretation, the end-of-event mark, and the order of records.
        """
        return digest_of(
            self.time, self.serial, (part_of(one.type, one.body) for one in self.records if one.type != "EOE")
        )


def part_of(kind: str, body: bytes) -> bytes:
    """What a digest takes in of a record, by its type and body."""
    return b"%s %s" % (kind.encode(), body)


def digest_of(time: int, serial: int, parts: Iterable[bytes]) -> str:
    """An event's digest."""
    return hashlib.sha256(b"\n".join([b"%d:%d" % (time, serial), *sorted(parts)])).hexdigest()
