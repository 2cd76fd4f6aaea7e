"""Text that somebody else wrote, made safe for a terminal: no control characters, no change of direction."""

from __future__ import annotations

import unicodedata


def escape(text: str) -> str:
    """The text with every control, format, surrogate and unassigned character and line separator escaped."""
    return text if text.isascii() and text.isprintable() else "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    code = ord(character)
    if unicodedata.category(character)[0] != "C" and unicodedata.category(character) not in ("Zl", "Zp"):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, most: int) -> str:
    """The text cut to a length, with an ellipsis where something was cut."""
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"
