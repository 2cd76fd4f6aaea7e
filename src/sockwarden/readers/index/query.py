"""What a cluster is asked for a rule: its query by the types that the indices have, within a window of time."""

from __future__ import annotations

from typing import Any

from sockwarden.cluster.indices import Capabilities
from sockwarden.kql import Node, TypeTable, fields_of
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.rules import Rule

Dsl = dict[str, Any]

_MOST_GROUPS = 16
"""Combinations of types that are asked each by its own."""
_MOST_SHOWN = 3


def fields_asked(tree: Node) -> frozenset[str]:
    """The query's fields and the objects that they lie in, which may be nested ones."""
    fields = fields_of(tree)
    parents = {field[:end] for field in fields for end, letter in enumerate(field) if letter == "."}
    return fields | {parent for parent in parents if "*" not in parent}


def query_of(tree: Node, known: Capabilities) -> tuple[Dsl, list[str]]:
    """The query, and what it cannot ask, for a person. Where a field is of one type here and of another there, each
    group of indices that agree is asked by its own types. Raises UnsupportedError where no index can be asked.
    """
    unclear = sorted(field for field, by_type in known.types.items() if len(by_type) > 1)
    agreed = {field: next(iter(by_type)) for field, by_type in known.types.items() if len(by_type) == 1}
    if not unclear:
        return to_dsl(tree, TypeTable(agreed)), []
    groups = _groups(known, unclear)
    if len(groups) > _MOST_GROUPS:
        told = (
            f"{', '.join(unclear[:_MOST_SHOWN])} of different types in {len(groups)} combinations: asked as if unknown"
        )
        return to_dsl(tree), [told]
    clauses, warnings = [], []
    refusal: UnsupportedError | None = None
    for types, indices in groups.items():
        own = {field: type_ for field, type_ in zip(unclear, types, strict=True) if type_ is not None}
        try:
            dsl = to_dsl(tree, TypeTable(agreed | own))
        except UnsupportedError as error:
            refusal = error
            warnings.append(f"{_shown(indices)} cannot be asked: {error.what}: {error.why}".replace("\n", " "))
        else:
            clauses.append({"bool": {"filter": [{"terms": {"_index": indices}}, dsl]}})
    if refusal and not clauses:
        raise refusal
    return {"bool": {"should": clauses, "minimum_should_match": 1}}, warnings


def _groups(known: Capabilities, unclear: list[str]) -> dict[tuple[str | None, ...], list[str]]:
    """Indices by the types of the fields that differ."""
    by_index: dict[str, dict[str, str]] = {}
    for field in unclear:
        for type_, indices in known.types[field].items():
            for index in known.indices if indices is None else indices:
                by_index.setdefault(index, {})[field] = type_
    groups: dict[tuple[str | None, ...], list[str]] = {}
    for index in known.indices:
        types = by_index.get(index, {})
        groups.setdefault(tuple(types.get(field) for field in unclear), []).append(index)
    return groups


def _shown(indices: list[str]) -> str:
    more = len(indices) - _MOST_SHOWN
    return ", ".join(indices[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def windows(rule: Rule, start: int, end: int) -> dict[str, Dsl]:
    """Filters for the window by the field that documents are sorted by: those with the rule's timestamp_override, and
    those without it, which count by @timestamp.
    """
    override = rule.timestamp_override
    if not override or override == "@timestamp":
        return {"@timestamp": _between("@timestamp", start, end)}
    found = {override: _between(override, start, end)}
    if not rule.timestamp_override_fallback_disabled:
        without = {"bool": {"must_not": {"exists": {"field": override}}}}
        found["@timestamp"] = {"bool": {"filter": [without, _between("@timestamp", start, end)]}}
    return found


def _between(field: str, start: int, end: int) -> Dsl:
    return {"range": {field: {"gte": start, "lte": end, "format": "epoch_millis"}}}
