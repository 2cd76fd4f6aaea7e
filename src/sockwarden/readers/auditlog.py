"""Audit logs: auditd's files, and audit records in journal and dmesg exports.

Only the lines of candidates.py are parsed, unless everything is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TypeVar

from sockwarden.auditrecords import (
    REASONS,
    Assembler,
    Event,
    Likeness,
    Record,
    Rejected,
    document_of,
    key_of,
    lesson_of,
    lesson_of_line,
    likeness_of,
    likeness_told,
    parse_line,
)
from sockwarden.document import Document
from sockwarden.literals import Wanted
from sockwarden.readers import candidates
from sockwarden.readers.blocks import MOST_LINE_BYTES, too_long
from sockwarden.readers.gathering import Gathered, gathered, gathered_again
from sockwarden.readers.look import Look
from sockwarden.readers.stretches import Stretch, View
from sockwarden.readers.tally import Tally

_RECORD = re.compile(
    rb"^(?:node=\S+ )?type=\S+ msg=audit\(\d+\.\d+:\d+\):|^[^\n]{0,100}audit: type=\d+ audit\(", re.MULTILINE
)
_JOURNAL = re.compile(rb'^\{[^\n]*"(?:_AUDIT_ID|__REALTIME_TIMESTAMP)"', re.MULTILINE)
_INTERPRETED = re.compile(rb"^(?:node=\S+ )?type=\S+ msg=audit\(\d+/\d+/\d+ ", re.MULTILINE)

Known = TypeVar("Known")
IsKnown = Callable[[Likeness], Known | None]
"""What is known of events that are alike one, None for nothing."""
Found = Iterator[tuple[Likeness | None, Event | Known]]
"""Events, each with what makes it alike others, where it may be; or instead of one what is known of it."""


def recognise(head: bytes) -> bool:
    """Whether the first bytes of an input are audit records."""
    return bool(_RECORD.search(head) or _JOURNAL.search(head))


def is_interpreted(head: bytes) -> bool:
    """Whether they are what `ausearch -i` prints, which has lost the raw values."""
    return bool(_INTERPRETED.search(head))


def documents(stretch: Stretch, wanted: Wanted, tally: Tally) -> Iterator[Document]:
    """The documents of every event that begins in a stretch and may hold what is wanted."""
    yield from filter(None, map(document_of, _only_events(events(stretch, wanted, tally))))


def events(stretch: Stretch, wanted: Wanted, tally: Tally, is_known: IsKnown[Known] | None = None) -> Found[Known]:
    """These events themselves. Without is_known nobody is asked for what they are alike."""
    search = candidates.accesses(wanted)
    places = stretch.seen.places(wanted.inodes) if stretch.seen and not wanted.everything else None
    if places is not None:
        tally.read += stretch.size
        yield from _parsed(gathered_again(stretch, search, places, with_likeness=is_known is not None), tally, is_known)
    else:
        parsed = partial(_parsed, tally=tally, is_known=is_known)
        yield from _events(stretch, None if wanted.everything else [search], tally, parsed)


def lessons(stretch: Stretch, wanted: Wanted, later: Wanted, tally: Tally) -> Iterator[Document]:
    """Small documents that only teach which inode is which socket. later: what will be wanted when the stretch is read
    again; where that is, is kept with it.
    """
    searches = [candidates.lessons(wanted), candidates.accesses(later, by_inode=True)][: 1 if later.everything else 2]
    parsed = partial(_parsed, tally=tally, alone=lesson_of_line)
    for _, found in _events(stretch, None if wanted.everything else searches, tally, parsed):
        if lesson := lesson_of(found) if isinstance(found, Event) else found:
            yield lesson


def _only_events(found: Found[Known]) -> Iterator[Event]:
    return (event for _, event in found if isinstance(event, Event))


def _events(
    stretch: Stretch,
    searches: list[candidates.Search] | None,
    tally: Tally,
    parsed: Callable[[Iterator[Gathered]], Found[Known]],
) -> Found[Known]:
    """What the first of the searches finds; without any, every event. What the second finds is kept as seen."""
    if searches and (look := _looked(stretch, searches)):
        tally.read += stretch.size
        for line in look.others:
            _record(line, tally)
        if len(searches) > 1 and not look.others and look.noted is not None:
            stretch.see(look.found[1], look.noted, look.inodes)
        yield from parsed(gathered_again(stretch, searches[0], look.found[0], with_likeness=False))
        return
    for view in stretch.views():
        tally.read += view.size
        look = Look(searches or ())
        if searches:
            look.over(view, view.at)
            look.end()
        if not searches or _hold_record(look.others):
            assembler = Assembler()
            yield from ((None, event) for event in _all(view, assembler, tally))
            _count(assembler, tally)
            continue
        for line in look.others:
            _record(line, tally)
        yield from parsed(gathered(view, searches[0], look.found[0]))


def _looked(stretch: Stretch, searches: list[candidates.Search]) -> Look | None:
    """A look at a stretch; None where it cannot be had a piece at a time, or every line must be parsed."""
    look, known = Look(searches), 0
    for piece in stretch.pieces():
        if not piece:
            return None
        look.over(piece, stretch.begin)
        if _hold_record(look.others[known:]):
            return None
        known = len(look.others)
    look.end()
    return look


def _hold_record(lines: list[bytes]) -> bool:
    """Whether what is no record of auditd's form is one of another."""
    return any(isinstance(parse_line(line), Record) for line in lines)


def _parsed(
    gathered: Iterator[Gathered],
    tally: Tally,
    is_known: IsKnown[Known] | None = None,
    alone: Callable[[bytes], Known | None] | None = None,
) -> Found[Known]:
    """The events of lines, each event's together, as `events` has them. alone: what a line that comes alone says, which
    is then all that is wanted of its event; None where that must be parsed.
    """
    assembler = Assembler()
    for text, told in gathered:
        likeness = ((told and likeness_told(told)) or likeness_of(text)) if is_known else None
        known = is_known(likeness) if is_known and likeness else None
        if likeness and known and assembler.passed(likeness.time, likeness.serial):
            yield likeness, known
            continue
        lines = text.split(b"\n")
        if alone and len(lines) == 1:
            if says := alone(text):
                yield None, says
            elif record := _record(text, tally):
                yield None, Event(record.node, record.time, record.serial, [record], complete=False)
            continue
        if event := assembler.whole(lines):
            yield likeness, event
            continue
        for each in chain(_pushed(assembler, lines, tally), assembler.flush()):
            yield None, each
    _count(assembler, tally)


def _count(assembler: Assembler, tally: Tally) -> None:
    tally.events += assembler.counts.events
    tally.incomplete += assembler.counts.incomplete
    tally.duplicates += assembler.counts.duplicates
    tally.late += assembler.counts.late


def _all(view: View, assembler: Assembler, tally: Tally) -> Iterator[Event]:
    """Every event whose first line is in a view. What follows the view completes those that are open at its end."""
    text = bytes(view.text)
    earlier = {
        key_of(record) for line in text[: view.begin].split(b"\n") if isinstance(record := parse_line(line), Record)
    }
    for line in text[view.begin : view.end].split(b"\n"):
        record = _record(line, tally)
        if record and key_of(record) not in earlier:
            yield from assembler.push(record)
    for line in text[view.end :].split(b"\n"):
        if not assembler.is_open:
            return
        if isinstance(record := parse_line(line), Record):
            yield from assembler.complete(record)
    yield from assembler.flush()


def _pushed(assembler: Assembler, lines: Iterable[bytes], tally: Tally) -> Iterator[Event]:
    for line in lines:
        if record := _record(line, tally):
            yield from assembler.push(record)


def _record(line: bytes, tally: Tally) -> Record | None:
    """The record of a line; what is none is counted."""
    if len(line) > MOST_LINE_BYTES:
        tally.reject(too_long(MOST_LINE_BYTES), line)
        return None
    record = parse_line(line)
    if isinstance(record, Rejected):
        tally.reject(REASONS[record.reason], line)
        return None
    return record
