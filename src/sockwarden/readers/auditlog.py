"""Audit logs: auditd's files, and audit records in journal and dmesg exports.

Only the lines of candidates.py are parsed, unless everything is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockwarden.auditrecords import REASONS, Assembler, Event, Rejected, document_of, lesson_of, parse_line
from sockwarden.document import Document
from sockwarden.literals import Wanted
from sockwarden.readers import candidates
from sockwarden.readers.blocks import blocks
from sockwarden.readers.streams import Stream
from sockwarden.readers.tally import Tally

_RECORD = re.compile(
    rb"^(?:node=\S+ )?type=\S+ msg=audit\(\d+\.\d+:\d+\):|^[^\n]{0,100}audit: type=\d+ audit\(", re.MULTILINE
)
_JOURNAL = re.compile(rb'^\{[^\n]*"(?:_AUDIT_ID|__REALTIME_TIMESTAMP)"', re.MULTILINE)
_INTERPRETED = re.compile(rb"^(?:node=\S+ )?type=\S+ msg=audit\(\d+/\d+/\d+ ", re.MULTILINE)


def recognise(head: bytes) -> bool:
    """Whether the first bytes of an input are audit records."""
    return bool(_RECORD.search(head) or _JOURNAL.search(head))


def is_interpreted(head: bytes) -> bool:
    """Whether they are what `ausearch -i` prints, which has lost the raw values."""
    return bool(_INTERPRETED.search(head))


def documents(stream: Stream, wanted: Wanted, tally: Tally) -> Iterator[Document]:
    """The documents of every event that may hold what is wanted, in the order the events end."""
    search = None if wanted.everything else candidates.accesses(wanted)
    yield from filter(None, map(document_of, _events(stream, search, tally)))


def lessons(stream: Stream, wanted: Wanted, tally: Tally) -> Iterator[Document]:
    """Small documents that only teach which inode is which socket."""
    yield from filter(None, map(lesson_of, _events(stream, candidates.lessons(wanted), tally)))


def _events(stream: Stream, search: candidates.Search | None, tally: Tally) -> Iterator[Event]:
    assembler = Assembler()
    try:
        for line in candidates.lines(blocks(stream.chunks(), tally), search, tally):
            record = parse_line(line)
            if isinstance(record, Rejected):
                tally.reject(REASONS[record.reason], line)
            elif record is not None:
                yield from assembler.push(record)
        yield from assembler.flush()
    finally:
        tally.events += assembler.counts.events
        tally.incomplete += assembler.counts.incomplete
        tally.duplicates += assembler.counts.duplicates
        tally.late += assembler.counts.late
