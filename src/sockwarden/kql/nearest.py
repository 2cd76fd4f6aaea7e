"""Why no value of a field is what a leaf asks for, in one sentence: what stands in the way, or what is nearest."""

from __future__ import annotations

import re

from sockwarden.kql.clauses import ImpossibleError, clause
from sockwarden.kql.kinds import WORDS
from sockwarden.kql.tree import Is, Range, Wildcard
from sockwarden.kql.values import glob, has_value
from sockwarden.kql.words import words_of

_MOST_LOOKED_AT = 100
"""Values among which the nearest is sought."""
_DELETED = " (deleted)"
_SLASHES = re.compile("//+")


def why_not(
    node: Is | Range, name: str, kind: str | None, values: list[object], held: list[object], *, hidden: bool
) -> str:
    """The reason; `held` is what the document has in the field, objects as well, `values` what the leaf was held
    against, `hidden` where that lies in a nested object.
    """
    try:
        clause(name, kind, node, typed=True)
    except ImpossibleError as impossible:
        return f"it can never hold: {impossible}"
    if hidden and held:
        return f"`{name}` lies in nested objects: ask with `path:{{ … }}`"
    if not values:
        return f"`{name}` is an object: ask for a field of it" if held else f"the document has no `{name}`"
    values = values[:_MOST_LOOKED_AT]
    if not any(map(has_value(kind), values)):
        return f"no value is one that a field of type {kind} holds"
    if isinstance(node, Range):
        return "no value lies in the range"
    if isinstance(node.value, Wildcard):
        return "no word fits the pattern" if kind in WORDS else _case_of_pattern(node.value, values)
    if kind in WORDS:
        found = {word for value in values if isinstance(value, str) for word in words_of(value)}
        missing = [word for word in words_of(str(node.value)) if word not in found]
        return f"the words are not there: {', '.join(missing)}" if missing else "the words do not stand so"
    return _nearest(str(node.value), [value for value in values if isinstance(value, str)])


def _case_of_pattern(pattern: Wildcard, values: list[object]) -> str:
    fits = glob(tuple(piece.casefold() for piece in pattern.pieces))
    for value in values:
        if isinstance(value, str) and fits(value.casefold()):
            return f"a value fits the pattern but for case: {value}"
    return "no value fits the pattern"


def _nearest(wanted: str, texts: list[str]) -> str:
    """What a value differs in, where it is almost the one that was asked for."""
    for text in texts:
        if difference := _difference(wanted, text):
            return difference
    return "a quoted `*` is a star, not a wildcard" if "*" in wanted else "no value is it"


def _difference(wanted: str, text: str) -> str:
    if text.casefold() == wanted.casefold():
        return f"a value differs in case only: {text}"
    if text.removesuffix(_DELETED) == wanted:
        return f"a value differs by its end: {text} (the file was deleted or replaced after it was started)"
    if text.strip() == wanted.strip():
        return "a value differs in blanks at its ends only"
    if _SLASHES.sub("/", text) == _SLASHES.sub("/", wanted):
        return f"a value differs in slashes only: {text}"
    if wanted and text.startswith(wanted):
        return f"a value only begins so: {text}"
    if text.rpartition("/")[2] == wanted:
        return f"a value only ends so: {text}"
    return ""
