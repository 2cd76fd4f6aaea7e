"""Rule and exception files to Kibana's export."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sockwarden.errors import RuleError
from sockwarden.rules.kibana.tables import Object, list_objects, rule_object


class Export(msgspec.Struct, frozen=True):
    """The lines of an export, and what it has to leave out."""

    lines: tuple[bytes, ...]
    missing: tuple[str, ...]


def export(rules: Iterable[str], lists: Iterable[str]) -> Export:
    """The export of rule files' texts, with those lists, of exception files' texts, that are for one of them."""
    tables = [tomllib.loads(text) for text in rules]
    known = [tomllib.loads(text) for text in lists]
    by_name = {(one["list_id"], one.get("namespace_type", "single")): one for one in known}
    used: dict[tuple[str, str], Mapping[str, Any]] = {}
    missing: dict[tuple[str, str], None] = {}
    found = []
    for table in tables:
        rule = rule_object(table)
        references = _references(rule, known)
        if references:
            rule["exceptions_list"] = references
        for reference in references:
            name = reference["list_id"], reference.get("namespace_type", "single")
            if name in by_name:
                used[name] = by_name[name]
            else:
                missing[name] = None
        found.append(rule)
    objects: list[Object] = [*found]
    items = 0
    for one in used.values():
        head, below = list_objects(one)
        objects += [head, *below]
        items += len(below)
    objects.append(_summary(found, len(used), items, [name for name, _ in missing]))
    try:
        lines = tuple(msgspec.json.encode(one) for one in objects)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise RuleError("a rule cannot be written as JSON", why=str(error)) from None
    return Export(lines, tuple(name for name, _ in missing))


def _references(rule: Object, known: Sequence[Mapping[str, Any]]) -> list[Object]:
    """The lists that the rule names, and those that name the rule."""
    by_name = {(one["list_id"], one.get("namespace_type", "single")): one for one in known}
    references: list[Object] = []
    for one in rule.get("exceptions_list") or ():  # Kibana wants all four keys
        own = by_name.get((one["list_id"], one.get("namespace_type", "single")))
        references.append({**(_reference_to(own) if own else {}), **one})
    named = {(one["list_id"], one.get("namespace_type", "single")) for one in references}
    words = {str(rule[key]).casefold() for key in ("rule_id", "name") if key in rule}
    for one in known:
        name = one["list_id"], one.get("namespace_type", "single")
        if name not in named and words & {word.casefold() for word in one.get("applies_to", ())}:
            references.append(_reference_to(one))
    return references


def _reference_to(table: Mapping[str, Any]) -> Object:
    head, _ = list_objects(table)
    return {"id": head.get("id", head["list_id"]), **{key: head[key] for key in ("list_id", "namespace_type", "type")}}


def _summary(rules: Sequence[Object], lists: int, items: int, missing: Sequence[str]) -> Object:
    return {
        "exported_count": len(rules) + lists + items,
        "exported_rules_count": len(rules),
        "missing_rules": [],
        "missing_rules_count": 0,
        "exported_exception_list_count": lists,
        "exported_exception_list_item_count": items,
        "missing_exception_lists": [{"list_id": name} for name in missing],
        "missing_exception_lists_count": len(missing),
        "missing_exception_list_items": [],
        "missing_exception_list_item_count": 0,
        "exported_action_connector_count": 0,
        "missing_action_connection_count": 0,
        "missing_action_connections": [],
        "excluded_action_connection_count": 0,
        "excluded_action_connections": [],
    }
