"""A look at lines: which are no records, and which call for anything.

The compiled walk over lines tells it where it was built, else searches over the whole text do. Same answers.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from sockwarden import compiled
from sockwarden.readers import scan
from sockwarden.readers.blocks import MOST_LINE_BYTES
from sockwarden.readers.candidates import INET, UNIX, Search
from sockwarden.readers.find import counts, find
from sockwarden.readers.scan import Walk
from sockwarden.readers.stretches import Need, View

HEADER = re.compile(rb"(node=[^ \n]{1,255} )?type=[^ \n]{1,40} msg=(audit\([^)\n]{1,40}\))")
"""How a line begins: its node, if there is one, and its stamp."""
_OTHER = re.compile(rb"^(?!" + HEADER.pattern + rb")", re.MULTILINE)
_ADDRESS = b" saddr="
_SOCKET_MODE = b" mode=014"
_BOOTS = (b"type=SYSTEM_BOOT ", b"type=KERNEL ")
_HEAD = 8
"""Hex digits of an address that hold its family and, of TCP, its port."""
_NEAR_HEADER = 512
"""Bytes before a mode in which the end of the record's header mostly lies."""
_MOST_JUDGED, _MOST_TEXT = 4096, 4096
"""Texts remembered with what they call for, and bytes of the longest."""


class Look:
    """A look at one view after another.

    others  lines that are no records of auditd's: of another form, torn or too long
    found   by each search: where lines start that call for anything, in order, and what for
    noted   those that call for their event where an inode is wanted, in pairs: the inode's number, where the line
            starts; all of them once the look has ended, None for too many
    inodes  numbers of these inodes
    """

    def __init__(self, searches: Sequence[Search]) -> None:
        self.others: list[bytes] = []
        self.found: list[list[tuple[int, Need]]] = [[] for _ in searches]
        self.inodes: dict[int, int] = {}
        self.noted: array[int] | None = array("I")
        self._of = _Judges(searches)
        library = compiled.library()
        self._walk = Walk(library, MOST_LINE_BYTES) if library else None

    def over(self, view: View, base: int) -> None:
        """Looks at the lines that start in a view. Where they start is counted from a base in the stream."""
        if self._walk:
            self._walk_over(view, view.at - base, self._walk)
            return
        self.others += map(view.line, _no_records(view))
        for start, needs in sorted(_calling(view, view.begin, view.end, self._of), key=itemgetter(0)):
            if HEADER.match(view.text, start) and view.end_of(start) - start <= MOST_LINE_BYTES:
                self._add(view, start, view.at - base, needs)

    def _walk_over(self, view: View, offset: int, walk: Walk) -> None:
        text = view.text
        for kind, start, begin, end in walk.lines(text, view.begin, view.end, offset):
            if kind == scan.OTHER:
                self.others.append(view.line(start))
                continue
            given = bytes(text[begin:end])
            if kind == scan.SOCKET_FILE:
                needs = self._of.socket_file[given]
            elif kind == scan.ADDRESS:
                family = given[:4]
                if family in INET:
                    kind, given = scan.HEAD_OF_ADDRESS, given[:_HEAD]
                needs = self._of.address[given] if family in UNIX or family in INET else ()
            else:
                needs = self._of.boot
            if needs:
                self._add(view, start, offset, needs)
            if not needs:
                walk.pass_over(kind, given)
            elif len(needs) == 1 and isinstance(inode := needs[0][1], int):
                walk.note(kind, given, self.inodes[inode])

    def _add(self, view: View, start: int, offset: int, needs: _Needs) -> None:
        for number, need in needs:
            if not isinstance(need, int):
                self.found[number].append((offset + start, view.line(start) if need == "line" else need))
            elif self.noted is not None:
                self.noted.extend((self.inodes.setdefault(need, len(self.inodes) + 1), offset + start))

    def end(self) -> None:
        """Ends it; nothing more can be looked at."""
        more = self._walk.end() if self._walk else array("I")
        self.noted = None if self.noted is None or more is None else self.noted + more


def event_of(header: re.Match[bytes]) -> bytes:
    """What names the event of a line: its stamp, on its node."""
    return (header[1] or b"") + header[2]


def needs_in(view: View, begin: int, end: int, search: Search) -> set[Need]:
    """What the lines of a part of a view call for."""
    return {need for _, needs in _calling(view, begin, end, _Judges([search])) for _, need in needs}


_Needs = tuple[tuple[int, Need], ...]
"""What several judges say that is called for, each with its place among them."""


def _needed(needs: Iterable[Need]) -> _Needs:
    return tuple((number, need) for number, need in enumerate(needs) if need != "nothing")


class _Judged(dict[bytes, _Needs]):
    """What texts call for by several judges; a text that comes again is judged once."""

    def __init__(self, judges: Sequence[Callable[[bytes], Need]]) -> None:
        super().__init__()
        self._judges = judges

    def __missing__(self, text: bytes) -> _Needs:
        needs = _needed(judge(text) for judge in self._judges)
        if len(self) >= _MOST_JUDGED:
            self.clear()
        if len(text) <= _MOST_TEXT:
            self[text] = needs
        return needs


class _Judges:
    """What searches say of addresses, of socket files and of boots."""

    def __init__(self, searches: Sequence[Search]) -> None:
        self.address = _Judged([search.address for search in searches])
        self.socket_file = _Judged([search.socket_file for search in searches])
        self.boot = _needed(search.boot for search in searches)


def _calling(view: View, begin: int, end: int, judges: _Judges) -> _Found:
    """Where lines start that call for anything, and what for. Of a line its first address or mode counts, as when it is
    parsed.
    """
    text = view.text
    for at, needs in chain(
        _addresses(text, begin, end, judges.address),
        _socket_files(text, begin, end, judges.socket_file),
        _boots(text, begin, end, judges.boot) if judges.boot else (),
    ):
        yield text.rfind(b"\n", 0, at) + 1, needs


_Found = Iterator[tuple[int, _Needs]]


def _addresses(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    """Of a TCP address the first bytes say all, up to the port; of a Unix socket's they say nothing."""
    known: dict[bytes, _Needs | None] = {}
    at = find(text, _ADDRESS, begin, end)
    while at >= 0:
        given = at + len(_ADDRESS)
        head = bytes(text[given : given + _HEAD])
        try:
            needs = known[head]
        except KeyError:
            family = head[:4]
            needs = None if family in UNIX else judged[head] if family in INET else ()
            if len(known) < _MOST_JUDGED:
                known[head] = needs
        if needs is None:
            needs = judged[bytes(text[given : text.find(b"\n", given)])]
        if needs:
            yield at, needs
        at = find(text, _ADDRESS, given, end)


def _socket_files(text: bytearray, begin: int, end: int, judged: _Judged) -> _Found:
    at = find(text, _SOCKET_MODE, begin, end)
    while at >= 0:
        stop = text.find(b"\n", at)
        # Behind the header the same socket's records are the same.
        body = text.rfind(b"): ", max(at - _NEAR_HEADER, 0), at)
        if body < 0:
            start = text.rfind(b"\n", 0, at) + 1
            body = max(text.find(b"): ", start, at), start)
        if needs := judged[bytes(text[body:stop])]:
            yield at, needs
        at = find(text, _SOCKET_MODE, stop, end)


def _boots(text: bytearray, begin: int, end: int, needs: _Needs) -> _Found:
    for boot in _BOOTS:
        at = find(text, boot, begin, end)
        while at >= 0:
            if not at or text[at - 1] in b"\n ":
                yield at, needs
            at = find(text, boot, at + len(boot), end)


def _no_records(view: View) -> list[int]:
    text, begin, end = view.text, view.begin, view.end
    lines, records, typed = counts(text, (b"\n", b" msg=audit(", b"\ntype="), begin, end)
    # Those that start behind a newline of the view: one line less at its beginning, and one more at its end.
    typed += text.startswith(b"type=", begin) - text.startswith(b"type=", end)
    others: set[int] = set()
    if not lines == records == typed:
        others.update(match.start() for match in _OTHER.finditer(text, begin, end) if match.start() < end)
    while begin < end:
        last = text.rfind(b"\n", begin, begin + MOST_LINE_BYTES + 1)
        if last < 0:
            others.add(begin)
            last = view.end_of(begin)
        begin = last + 1
    return sorted(others)
