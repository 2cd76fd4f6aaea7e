"""What an index holds in a field: Elasticsearch's field types by field name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Protocol

import msgspec

from sockwarden.content import packaged


class FieldTypes(Protocol):
    """The types of an index's fields, by dotted name, in Elasticsearch's names: keyword, wildcard, long, date, ip …"""

    def type_of(self, field: str) -> str | None:
        """The type; None for a field that the index does not know."""
        ...

    def names(self) -> Iterable[str]:
        """Every known field: what a pattern of names is held against."""
        ...

    def __hash__(self) -> int:
        """Of the object: a table does not change."""
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


class _Ecs:
    """ECS 9 with its multi-fields (`process.name.text`), ours below `sockwarden.`, Kibana's of alerts, Auditbeat's.

    Read from the package's data when first asked.
    """

    @cached_property
    def _types(self) -> Mapping[str, str]:
        return {
            name: kind
            for file in ("ecs_fields.json", "own_fields.json")
            for kind, names in msgspec.json.decode(packaged(file).read_bytes(), type=dict[str, list[str]]).items()
            for name in names
        }

    def type_of(self, field: str) -> str | None:
        """The type; None for a field that ECS does not name. As its dynamic mappings do, a further field that is named
        `ip` or ends in `_ip` counts as an address.
        """
        return self._types.get(field) or ("ip" if field.endswith((".ip", "_ip")) or field == "ip" else None)

    def names(self) -> Iterable[str]:
        """Every field that ECS names."""
        return self._types.keys()


ECS: FieldTypes = _Ecs()
"""The types of documents that follow ECS 9."""


@lru_cache(maxsize=8)
def _multi_fields(types: FieldTypes) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in types.names():
        if (parent := parent_of(name, types)) is not None:
            found[parent] = (*found.get(parent, ()), name)
    return found


def multi_fields_of(field: str, types: FieldTypes) -> tuple[str, ...]:
    """The fields that index this one's values once more."""
    return _multi_fields(types).get(field, ())


def parent_of(field: str, types: FieldTypes) -> str | None:
    """The field whose values a multi-field indexes once more: `process.name` of `process.name.text`; None of others."""
    parent = field.rpartition(".")[0]
    return parent if types.type_of(parent) not in (None, "object", "nested", "flattened") else None
