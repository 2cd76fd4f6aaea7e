"""An object of Kibana's as the table of a file, and back. What a file's format has no key for, and nulls, which TOML
has not, are kept beside as JSON, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

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


def rule_table(found: Object) -> dict[str, Any]:
    """The file of a rule."""
    own: Object = {}
    rest: Object = {}
    for key, value in found.items():
        kind = _RULE.get(key)
        idle = isinstance(kind, Refused) and (value is None or value in kind.accepted)
        (rest if kind is None or idle or not _is_written(value) else own)[key] = value
    return {"rule": own, REST: _json(rest)} if rest else {"rule": own}


def rule_object(table: Mapping[str, Any]) -> Object:
    """The object of a rule's file."""
    return {**_rest(table), **table["rule"]}


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
    found |= {key: value for key, value in table.items() if key not in _OURS}
    items = []
    for number, item in enumerate(table.get("item", ()), 1):
        own = {key: value for key, value in item.items() if key != REST}
        own["entries"] = [_whole(entry) for entry in item["entries"]]
        base = {"item_id": f"{table['list_id']}-{number}", "type": "simple", "description": item["name"]}
        items.append({**base, **shared, **_rest(item), **own})
    return found, items


def _whole(entry: Mapping[str, Any]) -> Object:
    if entry["type"] == "nested":
        return {**entry, "entries": [_whole(inner) for inner in entry["entries"]]}
    return {"operator": "included", **entry}


def _split(found: Object, table: Table) -> dict[str, Any]:
    own = {
        key: value
        for key, value in found.items()
        if key in table.keys and key not in _OURS and _is_written(value) and not _is_idle(key, value, table)
    }
    rest = {key: value for key, value in found.items() if key not in own}
    return {**own, REST: _json(rest)} if rest else own


def _is_idle(key: str, value: object, table: Table) -> bool:
    """Comments and the like of another form than is known: they change nothing, and are no reason to refuse a list."""
    return key in ("comments", "meta") and any(True for _ in check(value, table.keys[key], (key,)))


def _is_written(value: object) -> bool:
    return not refusal_of(value, _DEEPEST)


def _json(rest: Object) -> Object:
    return {"json": msgspec.json.encode(rest).decode()}


def _rest(table: Mapping[str, Any]) -> Object:
    """What was kept beside; the file was checked when it was loaded."""
    kept: Object = msgspec.json.decode(table[REST]["json"], type=dict[str, Any]) if REST in table else {}
    return kept
