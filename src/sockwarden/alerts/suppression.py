"""Alert suppression: of matches that share the values of some fields, the first is an alert that counts the others.

It keeps nothing itself. A group's state is plain data, of a run or of a window that outlasts runs; the caller keeps it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from sockwarden.document import Document, values

_MOST_VALUES = 100
"""Values of one field that are listed; all of them tell groups apart."""


class Grouping(msgspec.Struct, frozen=True):
    """Which matches are one alert.

    fields        1 to 3, whose values make the group
    duration_ms   for how long from its first match a group takes others in; None: one run
    with_missing  whether documents that lack a field are groups too; else each is an alert of its own
    """

    fields: tuple[str, ...]
    duration_ms: int | None = None
    with_missing: bool = True


class Belonging(msgspec.Struct, frozen=True):
    """The group that a document belongs to. key: 64 hex digits, the same for the same rule and values."""

    key: str
    terms: list[dict[str, Any]]


class GroupState(msgspec.Struct, frozen=True):
    """An open group.

    uuid   of the alert that stands for it
    first  the time of the match that opened it, in ms; start, end: of the earliest and the latest match
    count  matches that it took in, beside the first
    """

    uuid: str
    first: int
    start: int
    end: int
    count: int = 0


def group_of(document: Document, rule_id: str, grouping: Grouping) -> Belonging | None:
    """The document's group; None where it is to be an alert of its own, since it lacks a field."""
    terms: list[dict[str, Any]] = []
    whole: list[list[Any]] = []
    for field in grouping.fields:
        # By type too: to Python, 1 and True are the same.
        by_type = {(type(plain).__name__, plain) for plain in map(_plain, values(document, field))}
        held = [plain for _, plain in sorted(by_type)]
        if not held and not grouping.with_missing:
            return None
        whole.append([field, held])
        value: Any = held[:_MOST_VALUES] if len(held) > 1 else held[0] if held else None
        terms.append({"field": field, "value": value})
    identity = msgspec.json.encode([rule_id, whole])
    return Belonging(hashlib.sha256(identity).hexdigest(), terms)


def take(state: GroupState | None, uuid: str, moment: int, duration_ms: int | None) -> tuple[GroupState, bool]:
    """The group after one more match, and whether the group took it in; else the match opens the group anew.

    state: as the caller kept it, None for a group that is not open. moment: the match's time, in ms.
    duration_ms: None where the state is of this run alone.
    """
    if state is None or (duration_ms is not None and abs(moment - state.first) >= duration_ms):
        return GroupState(uuid, moment, moment, moment), False
    start, end = min(state.start, moment), max(state.end, moment)
    return msgspec.structs.replace(state, start=start, end=end, count=state.count + 1), True


def _plain(value: object) -> Any:
    """A leaf as it may stand in JSON: a lone surrogate is none of UTF-8."""
    if isinstance(value, bool | int | float):
        return value if isinstance(value, bool | int) and abs(value) < 1 << 53 else str(value)
    return str(value).encode("utf-8", "replace").decode()
