r"""Wildcards as Elasticsearch's `wildcard` query has them: `*`, `?`, and a backslash that takes the next as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_ANY_ONE = None
"""In a piece: `?`, any one character."""

Piece = tuple[str | None, ...]


def pieces_of(pattern: str) -> tuple[str, ...] | None:
    """The fixed texts around each `*`; None where there is a `?`. An entry without `*` is one piece."""
    pieces = _parse(pattern)
    if any(_ANY_ONE in piece for piece in pieces):
        return None
    return tuple("".join(character or "" for character in piece) for piece in pieces)


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """The test whether a whole text fits. Each piece is sought once from the left; nothing backtracks."""
    first, *others = _parse(pattern)
    if not others:
        return lambda text: len(text) == len(first) and _fits(text, 0, first)
    *middle, last = others
    shortest = len(first) + len(last)

    def fits(text: str) -> bool:
        end = len(text) - len(last)
        if len(text) < shortest or not _fits(text, 0, first) or not _fits(text, end, last):
            return False
        position = len(first)
        for piece in middle:
            found = _find(text, position, end, piece)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return fits


def _parse(pattern: str) -> list[Piece]:
    pieces: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            pieces.append([])
        elif character == "?":
            pieces[-1].append(_ANY_ONE)
        elif character == "\\":
            pieces[-1].append(next(characters, character))
        else:
            pieces[-1].append(character)
    return [tuple(piece) for piece in pieces]


def _fits(text: str, start: int, piece: Piece) -> bool:
    return all(wanted is _ANY_ONE or text[start + place] == wanted for place, wanted in enumerate(piece))


def _find(text: str, start: int, end: int, piece: Piece) -> int:
    if _ANY_ONE not in piece:
        return text.find("".join(map(str, piece)), start, end)
    offset, fixed = max(_fixed(piece), key=lambda one: len(one[1]))
    place = text.find(fixed, start + offset, end) - offset
    while start <= place <= end - len(piece):
        if _fits(text, place, piece):
            return place
        place = text.find(fixed, place + offset + 1, end) - offset
    return -1


def _fixed(piece: Piece) -> Iterator[tuple[int, str]]:
    """The fixed texts of a piece with their offsets; an empty one for a piece without any."""
    yield 0, ""
    start = 0
    for place in range(len(piece) + 1):
        if place == len(piece) or piece[place] is _ANY_ONE:
            yield start, "".join(map(str, piece[start:place]))
            start = place + 1
