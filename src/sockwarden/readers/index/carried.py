"""Whether documents carry the fields that a rule cannot match without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sockwarden.cluster.client import Client
from sockwarden.cluster.indices import Capabilities, index_path
from sockwarden.kql import MATCH_ALL, And, Constant, Is, Node, Or, Range, Text
from sockwarden.readers.index.query import query_of

STAND_INS = {"destination.address": "destination.path"}
"""Fields of rules that some shippers leave out, and what they fill in their place (plain Auditbeat)."""
_OF_EVERY_DOCUMENT = ("host.", "event.", "agent.")
_MOST_CONDITIONS = 20


def missing(client: Client, pattern: str, tree: Node, window: dict[str, Any], known: Capabilities) -> Iterator[str]:
    """For each condition of the query: that no document of the window has its fields, where it would count. That is
    where others match all the rest of the query, where another field stands in for it, or where every document should
    have it: a quiet host's documents of other kinds are no reason for a warning.

    window: the query for all of its documents. Raises ClusterError.
    """
    conditions = dict(_conditions(tree))
    if not conditions:
        return
    aggregations: dict[str, Any] = {}
    for number, (child, fields) in enumerate(conditions.items()):
        carries = _any_carried(fields)
        rest, _ = query_of(_without(tree, child), known)
        aggregations[f"carry{number}"] = {"filter": carries}
        aggregations[f"rest{number}"] = {"filter": {"bool": {"filter": [rest], "must_not": [carries]}}}
        others = [STAND_INS[field] for field in fields if field in STAND_INS]
        aggregations[f"other{number}"] = {"filter": _any_carried(others) if others else {"match_none": {}}}
    params = {"ignore_unavailable": "true", "allow_no_indices": "true"}
    body = {"size": 0, "track_total_hits": True, "query": window, "aggs": aggregations}
    answer = client.json("POST", f"{index_path((pattern,))}/_search", body, params=params)
    for number, fields in enumerate(conditions.values()):
        carry, rest_matches, other = (_count(answer, f"{name}{number}") for name in ("carry", "rest", "other"))
        of_every = any(field.startswith(_OF_EVERY_DOCUMENT) for field in fields)
        total = _total(answer)
        if total and not carry and (rest_matches or other or of_every):
            named = " or ".join(sorted(fields))
            told = f"{pattern}: {total:,} documents in the window, none carries {named}"
            yield told + (_mend(fields) if other else "")


def _mend(fields: frozenset[str]) -> str:
    pairs = ", ".join(f"--map {field}={STAND_INS[field]}" for field in sorted(fields) if field in STAND_INS)
    return f"; {pairs} is the mend"


def _conditions(tree: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    children = tree.children if isinstance(tree, And) else (tree,)
    for child in children[:_MOST_CONDITIONS]:
        if fields := _needed(child):
            yield child, fields


def _needed(node: Node) -> frozenset[str]:
    """Fields of which a match has at least one; empty where it may have none, or that cannot be told."""
    match node:
        case Is(Text(name), value) if value != Constant(None):
            return frozenset({name})
        case Range(Text(name), _, _):
            return frozenset({name})
        case Or(children):
            each = [_needed(child) for child in children]
            return frozenset().union(*each) if all(each) else frozenset()
        case And(children):
            return next(filter(None, map(_needed, children)), frozenset())
    return frozenset()


def _without(tree: Node, child: Node) -> Node:
    """The other conditions; every document where there is none."""
    rest = tuple(one for one in tree.children if one is not child) if isinstance(tree, And) else ()
    if len(rest) > 1:
        return And(rest)
    return rest[0] if rest else MATCH_ALL


def _any_carried(fields: Iterable[str]) -> dict[str, Any]:
    return {"bool": {"should": [{"exists": {"field": field}} for field in sorted(fields)], "minimum_should_match": 1}}


def _count(answer: dict[str, Any], name: str) -> int:
    aggregations = answer.get("aggregations")
    found = aggregations.get(name) if isinstance(aggregations, dict) else None
    return _number(found, "doc_count")


def _total(answer: dict[str, Any]) -> int:
    hits = answer.get("hits")
    total = hits.get("total") if isinstance(hits, dict) else None
    return _number(total, "value")


def _number(found: Any, name: str) -> int:
    number = found.get(name) if isinstance(found, dict) else None
    return number if isinstance(number, int) else 0
