"""An object of Kibana's as the table of a file, and back. What a file's format has no key for, and nulls, which TOML
has not, are kept beside as JSON, so that nothing is lost.

A value that acts here and holds a null somewhere is in both places: in the file without its nulls, since it must act,
and whole beside. Once a person changes it in the file, that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sockwarden.rules.elastic import CARRIED
from sockwarden.rules.elastic import FILE as RULE_FILE
from sockwarden.rules.exceptions.form import ITEM, LIST
from sockwarden.rules.schema import Refused, Table, check
from sockwarden.rules.tomltext import refusal_of

REST = "extra"
_DEEPEST = 4
"""How deep in a file an object's values lie."""
Object = dict[str, Any]


def _table(kind: object) -> Table:
    assert isinstance(kind, Table)  # noqa: S101 - for the type checker
    return kind


_RULE = _table(RULE_FILE.keys["rule"]).keys
_OURS = {"applies_to", "item", REST}
_RULE_ACTS = frozenset(key for key, kind in _RULE.items() if not isinstance(kind, Refused)) - CARRIED
_LIST_ACTS = frozenset({"list_id", "name", "namespace_type", "os_types", "type"})
_ITEM_ACTS = frozenset({"entries", "expire_time", "item_id", "name", "namespace_type", "os_types", "type"})


def rule_table(found: Object) -> dict[str, Any]:
    """The file of a rule."""
    own: Object = {}
    rest: Object = {}
    for key, value in found.items():
        kind = _RULE.get(key)
        idle = isinstance(kind, Refused) and (value is None or value in kind.accepted)
        if kind is None or idle:
            rest[key] = value
        else:
            _sort(key, value, own, rest, acts=key not in CARRIED)  # what is refused must be seen to be
    return {"rule": own, REST: _json(rest)} if rest else {"rule": own}


def rule_object(table: Mapping[str, Any]) -> Object:
    """The object of a rule's file."""
    return _whole_of(table["rule"], _rest(table), _RULE_ACTS)


def list_table(found: Object, items: list[Object]) -> dict[str, Any]:
    """The file of an exception list and its items."""
    table = _split(found, LIST)
    if items:
        table["item"] = [_split(item, ITEM) for item in items]
    return table


def list_objects(table: Mapping[str, Any]) -> tuple[Object, list[Object]]:
    """The list of a list's file, and its items. What Kibana needs and a file may leave out is filled in."""
    shared = {"list_id": table["list_id"], "namespace_type": table.get("namespace_type", "single")}
    found = {"description": "", "type": "detection", **shared, **_rest(table)}
    found |= _whole_of({key: value for key, value in table.items() if key not in _OURS}, _rest(table), _LIST_ACTS)
    items = []
    for number, item in enumerate(table.get("item", ()), 1):
        own = {key: value for key, value in item.items() if key != REST}
        own["entries"] = [_whole(entry) for entry in item["entries"]]
        base = {"item_id": f"{table['list_id']}-{number}", "type": "simple", "description": item["name"]}
        rest = _rest(item)
        items.append({**base, **shared, **rest, **_whole_of(own, rest, _ITEM_ACTS)})
    return found, items


def _whole(entry: Mapping[str, Any]) -> Object:
    if entry["type"] == "nested":
        return {**entry, "entries": [_whole(inner) for inner in entry["entries"]]}
    return {"operator": "included", **entry}


def _split(found: Object, table: Table) -> dict[str, Any]:
    own: Object = {}
    rest: Object = {}
    for key, value in found.items():
        if key not in table.keys or key in _OURS or _is_idle(key, value, table):
            rest[key] = value
        else:
            _sort(key, value, own, rest, acts=key in _LIST_ACTS | _ITEM_ACTS)
    return {**own, REST: _json(rest)} if rest else own


def _is_idle(key: str, value: object, table: Table) -> bool:
    """Comments and the like of another form than is known: they change nothing, and are no reason to refuse a list."""
    return key in ("comments", "meta") and any(True for _ in check(value, table.keys[key], (key,)))


def _sort(key: str, value: object, own: Object, rest: Object, *, acts: bool) -> None:
    """Into the file, beside it, or both. ValueError where what acts cannot be in the file."""
    why = refusal_of(value, _DEEPEST)
    if not why:
        own[key] = value
        return
    rest[key] = value
    if acts and value is not None:
        plain = _without_nulls(value)
        why = refusal_of(plain, _DEEPEST)
        if why:
            raise ValueError(f"`{key}` holds what a file cannot: {why}")
        own[key] = plain


def _whole_of(own: Mapping[str, Any], rest: Mapping[str, Any], acts: frozenset[str]) -> Object:
    """The object of a file's keys and of what is beside them; what acts and was taken out of the file stays out."""
    found = {key: value for key, value in rest.items() if value is None or key not in acts}
    for key, value in own.items():
        found[key] = rest[key] if key in rest and _without_nulls(rest[key]) == value else value
    return found


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value


def _json(rest: Object) -> Object:
    return {"json": msgspec.json.encode(rest).decode()}


def _rest(table: Mapping[str, Any]) -> Object:
    """What was kept beside; the file was checked when it was loaded."""
    kept: Object = msgspec.json.decode(table[REST]["json"], type=dict[str, Any]) if REST in table else {}
    return kept
