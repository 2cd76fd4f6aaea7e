"""Which of an index's fields a query's field names, and the nested object that a field lies in."""

from __future__ import annotations

from sockwarden.kql.tree import Literal, Text, Wildcard
from sockwarden.kql.types import FieldTypes
from sockwarden.kql.values import glob

NESTED = "nested"
_NO_VALUES = frozenset({NESTED, "object"})


def under(path: str, field: Literal) -> Literal:
    """The field with the path of a `path:{…}` before it; the path itself is no pattern."""
    if not path:
        return field
    if isinstance(field, Wildcard):
        return Wildcard((f"{path}.{field.pieces[0]}", *field.pieces[1:]))
    return Text(f"{path}.{field}")


def matching(pattern: Wildcard, types: FieldTypes) -> list[str]:
    """The fields with values of their own whose names fit, in order."""
    fits = glob(pattern.pieces)
    return sorted(name for name in types.names() if fits(name) and types.type_of(name) not in _NO_VALUES)


def nested_path(field: str, types: FieldTypes) -> str:
    """The innermost nested object above the field, empty where there is none."""
    parent = field.rpartition(".")[0]
    while parent:
        if types.type_of(parent) == NESTED:
            return parent
        parent = parent.rpartition(".")[0]
    return ""
