"""What a person types in place of a whole id: its first digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sockwarden.errors import UsageError

_HEX = frozenset("0123456789abcdef")
_LISTS = {"alert": "alerts", "access": "accesses", "story": "stories"}

One = TypeVar("One")


def hexadecimal(prefix: str, kind: str) -> str:
    """The digits in small letters. Raises UsageError where they are none. kind: alert, access or story."""
    prefix = prefix.lower()
    if not prefix or set(prefix) - _HEX:
        raise UsageError(
            f"that is no {kind}'s id",
            where=prefix[:80],
            todo=f"An id is hexadecimal, as `sockwarden {_LISTS[kind]} list` shows it.",
        )
    return prefix


def only(found: Sequence[One], kind: str, prefix: str) -> One:
    """The one that was found. Raises UsageError where there are none, or several."""
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"more than one {kind}'s id starts so", where=prefix, todo="Give more of the id.")
    raise UsageError(f"no {kind} has that id", where=prefix, todo=f"See `sockwarden {_LISTS[kind]} list`.")
