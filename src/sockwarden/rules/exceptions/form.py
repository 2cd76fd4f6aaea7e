"""What an exception list and its items may hold, in Kibana's names, and every way in which one differs from that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta

from sockwarden.kql import ECS, Text
from sockwarden.kql.dates import date_ms
from sockwarden.kql.fields import kind_of
from sockwarden.kql.kinds import EXACT, WORDS
from sockwarden.kql.values import is_test, never
from sockwarden.rules.exceptions.values import TYPES
from sockwarden.rules.schema import Array, Kind, Leaf, Problem, Table, check, nearest, shorten
from sockwarden.toml_positions import KeyPath

_TEXT = Leaf(str, "a string")
_TEXTS = Array(_TEXT, "an array of strings")
_NAME = Leaf(Annotated[str, Meta(pattern=r"\A[^\S\r\n]*+\S[^\r\n]*+\Z")], "one line of text")
_FIELD = Leaf(Annotated[str, Meta(pattern=r"\A[^\s]+\Z")], "a field's name")
_VALUE = Leaf(Annotated[str, Meta(min_length=1)], "a string that is not empty")
_LIST_ID = Leaf(
    Annotated[str, Meta(pattern=r"\A[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,250}\Z")],
    "the name of a file in lists/, without a path",
)
_OPERATOR = Leaf(Literal["included", "excluded"], "included or excluded")
_SYSTEMS = Array(Leaf(Literal["linux", "macos", "windows"], "linux, macos or windows"), "an array of systems")
_NAMESPACE = Leaf(Literal["single", "agnostic"], "single or agnostic")
_MOMENT = Leaf(Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}")], 'a time as "2026-11-25T12:00:00.000Z"')
_LIST_TYPE = Leaf(Literal[TYPES], f"{', '.join(TYPES[:-1])} or {TYPES[-1]}")
EXTRA = Table({"json": _TEXT}, frozenset({"json"}))
"""What Kibana wrote and nothing here uses, as JSON."""

_COMMENTS = Array(
    Table(
        {
            "comment": _TEXT,
            "created_at": _TEXT,
            "created_by": _TEXT,
            "id": _TEXT,
            "updated_at": _TEXT,
            "updated_by": _TEXT,
        },
        frozenset({"comment"}),
    ),
    "an array of tables",
)

TYPES_OF_LISTS = ("detection", "rule_default", "endpoint")
"""The types of exception lists that rules may refer to."""

_LIST_KEYS: dict[str, Kind] = {
    "list_id": _NAME,
    "name": _NAME,
    "description": _TEXT,
    "type": Leaf(Literal["detection", "rule_default", "endpoint"], "detection, rule_default or endpoint"),
    "namespace_type": _NAMESPACE,
    "applies_to": Array(_NAME, "an array of rules' ids or names"),
    "tags": _TEXTS,
    "os_types": _SYSTEMS,
    "immutable": Leaf(bool, "true or false"),
    "version": Leaf(Annotated[int, Meta(ge=1)], "an integer of at least 1"),
    "meta": Leaf(dict[str, Any], "a table"),
    "extra": EXTRA,
    "item": Array(Leaf(dict[str, Any], "a table"), "an array of tables, each [[item]]"),
}
LIST = Table(_LIST_KEYS, frozenset({"list_id", "name"}))

_ITEM_KEYS: dict[str, Kind] = {
    "item_id": _NAME,
    "name": _NAME,
    "description": _TEXT,
    "type": Leaf(Literal["simple"], "simple"),
    "namespace_type": _NAMESPACE,
    "os_types": _SYSTEMS,
    "expire_time": _MOMENT,
    "comments": _COMMENTS,
    "tags": _TEXTS,
    "meta": Leaf(dict[str, Any], "a table"),
    "extra": EXTRA,
    "entries": Array(Leaf(dict[str, Any], "a table"), "an array of at least one entry", least=1),
}
ITEM = Table(_ITEM_KEYS, frozenset({"item_id", "name", "entries"}))

_LEAF: dict[str, Kind] = {"field": _FIELD, "operator": _OPERATOR, "type": _TEXT}
_REQUIRED = frozenset({"field", "operator", "type"})
_ENTRIES = {
    "match": Table({**_LEAF, "value": _VALUE}, _REQUIRED | {"value"}),
    "match_any": Table(
        {**_LEAF, "value": Array(_VALUE, "an array of at least one string", least=1)}, _REQUIRED | {"value"}
    ),
    "exists": Table(_LEAF, _REQUIRED),
    "wildcard": Table({**_LEAF, "value": _VALUE}, _REQUIRED | {"value"}),
    "list": Table(
        {
            **_LEAF,
            "list": Table({"id": _LIST_ID, "type": _LIST_TYPE}, frozenset({"id", "type"})),
        },
        _REQUIRED | {"list"},
    ),
    "nested": Table(
        {
            "field": _FIELD,
            "type": _TEXT,
            "entries": Array(Leaf(dict[str, Any], "a table"), "an array of at least one entry", least=1),
        },
        frozenset({"field", "type", "entries"}),
    ),
}
_IN_NESTED = ("match", "match_any", "exists")


def list_problems(table: dict[str, Any]) -> Iterator[Problem]:
    """Every way in which a file differs from an exception list with its items."""
    yield from check(table, LIST)
    items = table.get("item", ())
    seen: set[str] = set()
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        yield from item_problems(item, ("item", index))
        identity = item.get("item_id")
        if isinstance(identity, str):
            if identity in seen:
                yield Problem(("item", index, "item_id"), f"`item_id`: another item is {shorten(identity)} already")
            seen.add(identity)


def item_problems(item: dict[str, Any], path: KeyPath = ()) -> Iterator[Problem]:
    """Every way in which a table differs from an exception item."""
    yield from check(item, ITEM, path)
    if isinstance(item.get("expire_time"), str) and date_ms(item["expire_time"]) is None:
        yield Problem((*path, "expire_time"), f"`expire_time`: {shorten(item['expire_time'])} is no time")
    entries = item.get("entries", ())
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield from _entry_problems(entry, (*path, "entries", index), tuple(_ENTRIES), "")


def _entry_problems(entry: dict[str, Any], path: KeyPath, types: tuple[str, ...], parent: str) -> Iterator[Problem]:
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in types:
        found = f"not {shorten(str(kind))}{nearest(str(kind), types)}" if "type" in entry else "and it is missing"
        inside = " inside of a nested entry" if parent else ""
        place = (*path, "type") if "type" in entry else path
        yield Problem(place, f"an entry's `type`{inside} is {', '.join(types[:-1])} or {types[-1]}, {found}")
        return
    found_any = False
    for problem in check(entry, _ENTRIES[kind], path):
        found_any = True
        yield problem
    if found_any:
        return
    field = f"{parent}.{entry['field']}" if parent else entry["field"]
    if kind == "nested":
        for index, child in enumerate(entry["entries"]):
            yield from _entry_problems(child, (*path, "entries", index), _IN_NESTED, field)
    else:
        yield from _value_problems(entry, field, path)


def _value_problems(entry: dict[str, Any], field: str, path: KeyPath) -> Iterator[Problem]:
    """Values that the field's type cannot hold: Elasticsearch fails such a query, and an excluded one would apply to
    everything.
    """
    of = kind_of(field, ECS)
    if entry["type"] == "wildcard" and not (of is None or of == "flattened" or of in EXACT or of in WORDS):
        yield Problem((*path, "value"), f"`value`: {shorten(field)} is of type {of}, which takes no wildcards")
    given: list[str] = []
    if entry["type"] in ("match", "match_any"):
        given = [entry["value"]] if isinstance(entry["value"], str) else entry["value"]
    for value in given:
        if is_test(Text(value, quoted=True), of, time.time_ns) is never:
            yield Problem(
                (*path, "value"), f"`value`: {shorten(value)!r} is nothing that {shorten(field)} can hold: {of}"
            )
