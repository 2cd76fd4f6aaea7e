"""Recorded sources. A format is one module and one line in FORMATS; which one an input has, its content tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.literals import Wanted
from sockwarden.readers import auditlog, ecs, ndjson, tracee
from sockwarden.readers.auditlog import Found, IsKnown
from sockwarden.readers.streams import Stream, plan
from sockwarden.readers.stretches import Seen, Stretch, stretches_of
from sockwarden.readers.tally import Quarantine, Tally

__all__ = ["FORMATS", "Format", "Quarantine", "Seen", "Stream", "Stretch", "Tally", "format_of", "plan", "stretches_of"]

Reader = Callable[[Stretch, Wanted, Tally], Iterator[Document]]
Teacher = Callable[[Stretch, Wanted, Wanted, Tally], Iterator[Document]]
"""Takes what lessons must contain, and what will be wanted of the documents."""


def _json_of(recognise: Callable[[ndjson.Object], bool], head: bytes) -> bool:
    entry = ndjson.first_object(head)
    return entry is not None and recognise(entry)


def _of_tracee(entry: ndjson.Object) -> Iterator[Document]:
    if document := tracee.to_document(entry):
        yield document


def _ecs_lessons(stretch: Stretch, wanted: Wanted, _: Wanted, tally: Tally) -> Iterator[Document]:
    return _ecs(stretch, wanted, tally)


class Format(NamedTuple):
    """A kind of input.

    recognise  whether the first bytes of an input are of it
    read       its documents
    teach      documents that teach which inode is which socket, for reading the whole input once before it is judged;
               None for a format that carries no inodes
    events     of audit records, what its documents are made of; None for a format of documents
    """

    name: str
    recognise: Callable[[bytes], bool]
    read: Reader
    teach: Teacher | None
    events: Callable[[Stretch, Wanted, Tally, IsKnown[Any]], Found[Any]] | None = None


_ecs = partial(ndjson.documents, ecs.to_documents, ())
_tracee = partial(ndjson.documents, _of_tracee, (tracee.CONNECT.encode(), tracee.OPEN.encode()))
FORMATS = (
    Format("audit log", auditlog.recognise, auditlog.documents, auditlog.lessons, auditlog.events),
    Format("Tracee JSON", partial(_json_of, tracee.recognise), _tracee, None),
    Format("ECS NDJSON", partial(_json_of, ecs.recognise), _ecs, _ecs_lessons),
)


def format_of(stream: Stream) -> Format:
    """The format of a stream, told by content. Raises InputError saying what the input is instead."""
    head = stream.head()
    if head.startswith(b"{") and b"\n" not in head:
        head = stream.head(ndjson.MOST_LINE_BYTES)
    if auditlog.is_interpreted(head):
        raise InputError(
            "this is what `ausearch -i` prints: interpreted, with the raw values lost",
            where=stream.name,
            todo="Give the log itself (/var/log/audit), or export it with `ausearch --raw`.",
        )
    for known in FORMATS:
        if known.recognise(head):
            return known
    if not head:
        raise InputError("the input is empty", where=stream.name, todo="Check that auditd writes where you look.")
    if b"\0" in head:
        raise InputError("the input is binary, no log", where=stream.name, todo=_KNOWN)
    if head[:1] in b"{[":
        raise InputError(
            "this JSON is no event that is known here, or one object runs over several lines",
            where=stream.name,
            todo="Give one object a line (`jq -c .` makes it so): ECS documents, Elasticsearch hits, or Tracee events.",
        )
    raise InputError("no known format", where=stream.name, todo=_KNOWN)


_KNOWN = "Read here: audit logs (also journalctl -o json, dmesg), ECS NDJSON, Tracee JSON; plain, gzip or zstd."
