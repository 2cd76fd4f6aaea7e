"""What holds of texts and of required literals, in every target."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sockwarden.document import Document, values
from sockwarden.literals import Clause


def is_safe(text: str) -> bool:
    """Whether a terminal shows a line of text as it is: no control, format or unassigned characters, no new line."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp") for c in text)


def satisfies(document: Document, clauses: Sequence[Clause]) -> bool:
    """Whether a document holds what required literals say that a match contains."""
    return all(
        any(_holds(document, field, text) if text else _exists(document, field.split(".")) for field, text in clause)
        for clause in clauses
    )


def _holds(document: Document, field: str, text: str) -> bool:
    return any(isinstance(value, str) and text in value for value in values(document, field))


def _exists(value: object, parts: list[str]) -> bool:
    if isinstance(value, list):
        return any(_exists(element, parts) for element in value)
    if isinstance(value, dict):
        if parts:
            return _exists(value.get(parts[0]), parts[1:])
        return any(_exists(child, []) for child in value.values())
    return value is not None and not parts
