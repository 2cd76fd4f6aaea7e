"""Elasticsearch's field types by how their values are compared."""

from __future__ import annotations

WORDS = frozenset({"text", "match_only_text", "annotated_text", "search_as_you_type"})
"""Types whose values are analysed into words."""
EXACT = frozenset({"keyword", "wildcard", "constant_keyword"})
"""Types whose values are compared whole, character by character."""
INTEGERS = {
    "byte": (-(1 << 7), (1 << 7) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "integer": (-(1 << 31), (1 << 31) - 1),
    "long": (-(1 << 63), (1 << 63) - 1),
    "unsigned_long": (0, (1 << 64) - 1),
}
"""Types of whole numbers, and their least and greatest."""
FLOATS = {"double": "d", "scaled_float": "d", "float": "f", "half_float": "e"}
"""Types of other numbers, and the format of `struct` that has their precision. A scaled_float's factor is not known."""
NUMBERS = frozenset(INTEGERS) | frozenset(FLOATS)
DATES = frozenset({"date", "date_nanos"})
