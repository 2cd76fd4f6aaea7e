"""A place in a query as text that is safe on a terminal: its line, and a caret line under it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

WIDTH = 100
"""Columns shown of a line; a longer one is cut around the place."""

_BEFORE = 60


def line_and_column(query: str, offset: int) -> tuple[int, int]:
    """Both counted from 1, the column in characters."""
    return query.count("\n", 0, offset) + 1, offset - query.rfind("\n", 0, offset)


def point_at(query: str, offset: int) -> str:
    """Two lines: the query's line around the offset, and `^` below the character there."""
    before, after = _around(query, offset)
    return f"{before}{after}\n{' ' * _columns(before)}^"


def excerpt(query: str, offset: int) -> str:
    """The query's line around the offset."""
    return "".join(_around(query, offset))


def escape(text: str) -> str:
    r"""Characters that do not print, as `\xNN` or `\uNNNN`; KQL's whitespace as spaces."""
    return "".join(map(_cell, text))


def _around(query: str, offset: int) -> tuple[str, str]:
    start = query.rfind("\n", 0, offset) + 1
    end = query.find("\n", offset)
    line_end = len(query) if end < 0 else end
    if query[line_end - 1 : line_end + 1] == "\r\n" and offset < line_end:
        line_end -= 1
    before = _fill(map(_cell, reversed(query[max(start, offset - WIDTH) : offset])), _BEFORE)
    cut_before = offset - len(before) > start
    room = WIDTH - _columns("".join(before))
    after = _fill(map(_cell, query[offset : min(line_end, offset + WIDTH)]), room)
    cut_after = offset + len(after) < line_end
    return (
        ("…" if cut_before else "") + "".join(reversed(before)),
        "".join(after) + ("…" if cut_after else ""),
    )


def _fill(cells: Iterable[str], columns: int) -> list[str]:
    """The first cells that fit."""
    taken: list[str] = []
    for cell in cells:
        columns -= _columns(cell)
        if columns < 0:
            break
        taken.append(cell)
    return taken


def _cell(character: str) -> str:
    if character in "\t\r\n\xa0":  # whitespace to KQL
        return " "
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _columns(text: str) -> int:
    """Columns on a terminal (Unicode Annex 11): wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_character_columns, text))


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
