"""The entries of an exception item, by Kibana's names for their types and keys."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Operator = Literal["included", "excluded"]


class Match(msgspec.Struct, frozen=True):
    """A value of the field is this one, as the field's type compares: a keyword whole and by case, an address within
    a network."""

    field: str
    value: str
    operator: Operator = "included"


class MatchAny(msgspec.Struct, frozen=True):
    """A value of the field is one of these."""

    field: str
    values: tuple[str, ...]
    operator: Operator = "included"


class Exists(msgspec.Struct, frozen=True):
    """The field has a value."""

    field: str
    operator: Operator = "included"


class WildcardMatch(msgspec.Struct, frozen=True):
    r"""A value of the field fits: `*` is any text, `?` any one character, and a backslash takes the next as it is."""

    field: str
    pattern: str
    operator: Operator = "included"


class InList(msgspec.Struct, frozen=True):
    """A value of the field is in a value list."""

    field: str
    list_id: str
    list_type: str
    operator: Operator = "included"


class Nested(msgspec.Struct, frozen=True):
    """One object at the field meets all entries, whose fields are relative to it."""

    field: str
    entries: tuple[Match | MatchAny | Exists, ...]


Leaf = Match | MatchAny | Exists | WildcardMatch | InList
Entry = Leaf | Nested


def entry_of(table: dict[str, Any]) -> Entry:
    """An entry from Kibana's object, which has been checked."""
    field = table["field"]
    match table["type"]:
        case "match":
            return Match(field, table["value"], table["operator"])
        case "match_any":
            return MatchAny(field, tuple(table["value"]), table["operator"])
        case "exists":
            return Exists(field, table["operator"])
        case "wildcard":
            return WildcardMatch(field, table["value"], table["operator"])
        case "list":
            return InList(field, table["list"]["id"], table["list"]["type"], table["operator"])
    return Nested(field, tuple(entry_of(entry) for entry in table["entries"]))  # type: ignore[misc] # checked before


def told(entry: Entry) -> str:
    """An entry as a person reads it."""
    match entry:
        case Match(field, value, operator):
            return f'{field} {"is" if operator == "included" else "is not"} "{value}"'
        case MatchAny(field, values, operator):
            of = ", ".join(f'"{value}"' for value in values)
            return f"{field} {'is' if operator == 'included' else 'is not'} one of {of}"
        case Exists(field, operator):
            return f"{field} {'exists' if operator == 'included' else 'does not exist'}"
        case WildcardMatch(field, pattern, operator):
            return f'{field} {"matches" if operator == "included" else "does not match"} "{pattern}"'
        case InList(field, list_id, _, operator):
            return f"{field} {'is' if operator == 'included' else 'is not'} in the list {list_id}"
        case Nested(field, entries):
            return f"{field} has an object in which {' and '.join(map(told, entries))}"
