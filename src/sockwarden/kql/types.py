"""What an index holds in a field: Elasticsearch's field types by field name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class FieldTypes(Protocol):
    """The types of an index's fields, by dotted name, in Elasticsearch's names: keyword, wildcard, long, date, ip …"""

    def type_of(self, field: str) -> str | None:
        """The type; None for a field that the index does not know."""
        ...

    def names(self) -> Iterable[str]:
        """Every known field: what a pattern of names is held against."""
        ...


class TypeTable:
    """Types from a table, e.g. of an index's field capabilities."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types

    def type_of(self, field: str) -> str | None:
        """The type; None for a field that is not in the table."""
        return self._types.get(field)

    def names(self) -> Iterable[str]:
        """The table's fields."""
        return self._types.keys()
