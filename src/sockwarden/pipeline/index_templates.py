"""Templates for the indices that sockwarden writes: how Elasticsearch and OpenSearch are to hold its documents.

Texts are keywords, unless ECS says otherwise. How long documents are kept, on how many nodes, and when a data stream
rolls over is the admin's: no lifecycle is set, and the one of the cluster's defaults holds.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from sockwarden.cluster.client import Client
from sockwarden.cluster.failures import ClusterError
from sockwarden.errors import InputError
from sockwarden.kql import ECS
from sockwarden.sinks.index import accesses_stream, alerts_index, requests_stream

State = Literal["new", "changed", "unchanged", "foreign"]

_FIELDS = "sockwarden-ecs"
_PRIORITY = 500
"""Above the 100 of Elastic's own template for logs-*-*."""
_MOST_FIELDS = 5000
_IGNORE_ABOVE = 8191
"""Characters, of at most four bytes: Lucene takes no term of more than 32,766 bytes, and would refuse the document."""
_NOT_FOUND, _IN_USE = 404, 400
_KEYWORD = {"type": "keyword", "ignore_above": _IGNORE_ABOVE}
_UNSEARCHED = {"type": "object", "enabled": False}
_TYPES: dict[str, dict[str, Any]] = {
    "wildcard": _KEYWORD,
    "constant_keyword": _KEYWORD,
    "match_only_text": {"type": "text", "norms": False},
    "flattened": _UNSEARCHED,
    "scaled_float": {"type": "scaled_float", "scaling_factor": 1000},
}
"""What both servers know in place of types that only one has."""


def templates() -> dict[str, dict[str, Any]]:
    """Bodies by path, in the order in which they are to be put."""
    shared = {
        "settings": {"index": {"mapping": {"total_fields": {"limit": _MOST_FIELDS}, "ignore_malformed": True}}},
        "mappings": {
            "date_detection": False,
            "numeric_detection": False,
            "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
            "properties": properties(),
        },
    }
    accesses = {
        "index_patterns": [accesses_stream("*"), requests_stream("*")],
        "data_stream": {},
        "composed_of": [_FIELDS],
        "priority": _PRIORITY,
    }
    alerts = {"index_patterns": [alerts_index("*")], "composed_of": [_FIELDS], "priority": _PRIORITY}
    bodies: dict[str, dict[str, Any]] = {
        f"/_component_template/{_FIELDS}": {"template": shared},
        "/_index_template/sockwarden-accesses": accesses,
        "/_index_template/sockwarden-alerts": alerts,
    }
    return {path: body | {"_meta": {"sockwarden": _digest(body)}} for path, body in bodies.items()}


def properties() -> dict[str, Any]:
    """The mapping of every field that is not a plain keyword, from ECS; the others are keywords when they come."""
    root: dict[str, Any] = {}
    for field in sorted(ECS.names()):
        kind = ECS.type_of(field) or "keyword"
        if kind in ("keyword", "object"):
            continue
        *parents, last = field.split(".")
        parent = ".".join(parents)
        if parent and (ECS.type_of(parent) or "object") not in ("object", "nested"):
            owner = _at(root, parents[:-1]).setdefault(parents[-1], dict(_mapping(ECS.type_of(parent) or "")))
            owner.setdefault("fields", {})[last] = _mapping(kind)
        else:
            _at(root, parents).setdefault(last, {}).update(_mapping(kind))
    # What a rule's author writes there is his to choose: thousands of fields, if he likes.
    _at(root, ["kibana", "alert", "rule"])["parameters"] = _UNSEARCHED
    # Kept strict, or a data stream refuses the template.
    root["@timestamp"]["ignore_malformed"] = False
    return root


def states(client: Client) -> dict[str, State]:
    """Of each template: whether it has to be put. foreign: there is one of that name that is not ours."""
    return {path: _state(client, path, body) for path, body in templates().items()}


def apply(client: Client, found: dict[str, State]) -> None:
    """Puts what is new or changed. Raises InputError, before it changes anything, where a name is taken."""
    for path, state in found.items():
        if state == "foreign":
            raise InputError(
                "a template of that name is not sockwarden's",
                where=client.url + path,
                todo="Rename or delete it, if nobody needs it.",
            )
    for path, body in templates().items():
        if found[path] != "unchanged":
            client.json("PUT", path, body)


def remove(client: Client, found: dict[str, State]) -> dict[str, str]:
    """Deletes what is ours; gives what the cluster keeps, and why: templates whose data stream is still there. Indices
    and data streams stay, with all that they hold.
    """
    kept: dict[str, str] = {}
    for path in reversed(found):
        if found[path] in ("changed", "unchanged"):
            try:
                client.json("DELETE", path)
            except ClusterError as error:
                if error.status != _IN_USE:
                    raise
                kept[path] = error.why
    return kept


def _state(client: Client, path: str, body: dict[str, Any]) -> State:
    try:
        answer = client.json("GET", path)
    except ClusterError as error:
        if error.status == _NOT_FOUND:
            return "new"
        raise
    kind = path.split("/")[1].lstrip("_")
    entry = (answer.get(f"{kind}s") or [{}])[0].get(kind) or {}
    digest = (entry.get("_meta") or {}).get("sockwarden")
    if digest is None:
        return "foreign"
    return "unchanged" if digest == body["_meta"]["sockwarden"] else "changed"


def _at(root: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    """The properties of the object at these parts, made on the way."""
    for part in parts:
        root = root.setdefault(part, {}).setdefault("properties", {})
    return root


def _mapping(kind: str) -> dict[str, Any]:
    return _KEYWORD if kind == "keyword" else _TYPES.get(kind, {"type": kind})


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()[:16]
