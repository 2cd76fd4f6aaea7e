"""Elasticsearch's field types by how their values are compared."""

from __future__ import annotations

import sys
from decimal import Decimal

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
FLOATS = {"double": "<d", "scaled_float": "<d", "float": "<f", "half_float": "<e"}
"""Types of other numbers, and the format of `struct` that has their precision. A scaled_float's factor is not known."""
_DOUBLE = (Decimal(-sys.float_info.max), Decimal(sys.float_info.max))
LIMITS: dict[str, tuple[int | Decimal, int | Decimal]] = {
    **INTEGERS,
    "half_float": (-65504, 65504),
    "float": (-(((1 << 24) - 1) << 104), ((1 << 24) - 1) << 104),
    "double": _DOUBLE,
    "scaled_float": _DOUBLE,
}
"""The least and greatest of each type of numbers."""
NUMBERS = frozenset(LIMITS)
DATES = frozenset({"date", "date_nanos"})
