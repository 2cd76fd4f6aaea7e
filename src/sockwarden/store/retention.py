"""Retention: what is too old goes, then the oldest until the file fits.

Of accesses, alerts and stories, it is those that take most space that lose their oldest: a flood of one kind takes
nothing from another while that has less. Of alerts, what was beyond max_signals goes first.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

import msgspec

from sockwarden.store.rows import first_number

_ROWS = 2000
"""Rows of a kind that one step removes; a step holds the write lock for some tens of milliseconds."""
_PAGES = 2000
"""Pages that one step gives back to the file system."""
_DAY_MS = 86_400_000
_FULL = 15 / 16
"""The share of the file's limit that may be used: between one pruning and the next, it grows into the rest."""
_LOG_BYTES = 4 << 20
"""What of the limit is left to the write-ahead log beside the file, or an eighth of a small limit."""
_LEAST = 1 << 14
"""Bytes of documents that a step removes at least, since less may not even set one page free."""
Kind = Literal["accesses", "alerts", "stories"]
_OLDEST: dict[Kind, str] = {
    "accesses": "SELECT number, length(document) FROM accesses WHERE number < ? ORDER BY number LIMIT ?",
    "alerts": "SELECT number, length(document) FROM alerts WHERE number < ? ORDER BY number LIMIT ?",
    "stories": "SELECT number, length(document) FROM stories WHERE number < ? ORDER BY number LIMIT ?",
}
_OLDEST_OVERFLOW = "SELECT number, length(document) FROM alerts WHERE kind = 'overflow' ORDER BY number LIMIT ?"
_DELETE: dict[Kind, str] = {
    "accesses": "DELETE FROM accesses WHERE number <= ?",
    "alerts": "DELETE FROM alerts WHERE number <= ?",
    "stories": "DELETE FROM stories WHERE number <= ?",
}
_SHRINK: dict[Kind, str] = {
    "accesses": "UPDATE sizes SET accesses = accesses - ?",
    "alerts": "UPDATE sizes SET alerts = alerts - ?",
    "stories": "UPDATE sizes SET stories = stories - ?",
}
_UNREFERRED = "DELETE FROM rules WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.rule = rules.number)"
_NO_LIMIT = (1 << 63) - 1


class Removed(msgspec.Struct):
    """What retention removed; unfinished: there is more to remove."""

    accesses: int = 0
    alerts: int = 0
    stories: int = 0
    unfinished: bool = False

    @property
    def most(self) -> int:
        """Of the kind of which most was removed."""
        return max(self.accesses, self.alerts, self.stories)


def step(database: sqlite3.Connection, max_age_days: float, max_bytes: int, now: float) -> Removed:
    """One bounded step, in a transaction of its own. `now` is in seconds since the epoch."""
    max_bytes -= min(_LOG_BYTES, max_bytes // 8)
    before = first_number(int((now - max_age_days * _DAY_MS / 1000) * 1000))
    removed = Removed(
        _remove(database, "accesses", before, _NO_LIMIT),
        _remove(database, "alerts", before, _NO_LIMIT),
        _remove(database, "stories", before, _NO_LIMIT),
    )
    removed.unfinished = removed.most >= _ROWS
    if not removed.unfinished and (used := _used(database)) > max_bytes * _FULL:
        _make_room(database, 1 - max_bytes * _FULL / used, removed)
        removed.unfinished = bool(removed.most) and _used(database) > max_bytes * _FULL
    if removed.alerts:
        database.execute(_UNREFERRED)
    if not removed.unfinished and (excess := _size(database) - max_bytes) > 0:
        removed.unfinished = _give_back(database, excess)
    return removed


def _make_room(database: sqlite3.Connection, share: float, removed: Removed) -> None:
    """Removes about this share of all documents' bytes, the oldest of the kind that takes most."""
    accesses, alerts, stories = sizes = database.execute("SELECT accesses, alerts, stories FROM sizes").fetchone()
    most_bytes = max(int(sum(sizes) * share), _LEAST)
    if stories > max(accesses, alerts):
        removed.stories += _remove(database, "stories", _NO_LIMIT, most_bytes)
    elif alerts > accesses and (overflow := _remove_overflow(database, most_bytes)):
        removed.alerts += overflow
    elif alerts > accesses:
        removed.alerts += _remove(database, "alerts", _NO_LIMIT, most_bytes)
    else:
        removed.accesses += _remove(database, "accesses", _NO_LIMIT, most_bytes)


def _remove(database: sqlite3.Connection, kind: Kind, before: int, most_bytes: int) -> int:
    """Removes the oldest of a kind whose number is less, until so many bytes of documents or a step's rows are gone."""
    last = rows = size = 0
    for number, length in database.execute(_OLDEST[kind], (before, _ROWS)):
        last = number
        rows += 1
        size += length
        if size >= most_bytes:
            break
    if rows:
        database.execute(_DELETE[kind], (last,))
        database.execute(_SHRINK[kind], (size,))
    return rows


def _remove_overflow(database: sqlite3.Connection, most_bytes: int) -> int:
    """As `_remove`, of what was one too many for an alert: a flood of it must not displace alerts."""
    numbers: list[tuple[int]] = []
    size = 0
    for number, length in database.execute(_OLDEST_OVERFLOW, (_ROWS,)):
        numbers.append((number,))
        size += length
        if size >= most_bytes:
            break
    database.executemany("DELETE FROM alerts WHERE number = ?", numbers)
    database.execute(_SHRINK["alerts"], (size,))
    return len(numbers)


def _give_back(database: sqlite3.Connection, excess: int) -> bool:
    """Gives unused pages at the end of the file back, a step's worth; whether there are more."""
    free = _pragma(database, "freelist_count")
    pages = -(-excess // _pragma(database, "page_size"))
    for _ in range(min(pages, _PAGES)):
        # One page a call: the module steps a statement without columns once, which is a page, whatever is asked for.
        database.execute("PRAGMA incremental_vacuum(1)")
    return min(free, pages) > _PAGES


def _size(database: sqlite3.Connection) -> int:
    return _pragma(database, "page_count") * _pragma(database, "page_size")


def _used(database: sqlite3.Connection) -> int:
    pages = _pragma(database, "page_count") - _pragma(database, "freelist_count")
    return pages * _pragma(database, "page_size")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])
