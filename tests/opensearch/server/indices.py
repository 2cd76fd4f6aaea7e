"""Audit documents in the node's indices, as Auditbeat and the Auditd Manager integration write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace
from node import Node

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.rules import Rule, parse_rule

MOMENT = 1_800_000_000_000
"""Milliseconds: the beginning of the time that tests write documents in."""
KEYWORD = {"type": "keyword"}
PUBLISHED = (
    'host.os.type:linux and event.category:network and event.action:("connected-to" or "connect") '
    'and destination.address:("/var/run/docker.sock" or "/run/containerd/containerd.sock") '
    'and not process.executable:("/usr/bin/docker" or /usr/bin/containerd*)'
)


def at(milliseconds: int) -> str:
    """A time of day so many milliseconds after MOMENT."""
    return f"{datetime.fromtimestamp((MOMENT + milliseconds) / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def connect(milliseconds: int, **fields: Any) -> dict[str, Any]:
    """A connect to Docker's socket, with dotted fields; a field that is None is left out."""
    document: dict[str, Any] = {
        "@timestamp": at(milliseconds),
        "host.os.type": "linux",
        "event.category": ["network"],
        "event.action": "connected-to",
        "destination.address": "/var/run/docker.sock",
        "process.executable": "/usr/bin/curl",
    }
    document |= {name.replace("__", "."): value for name, value in fields.items()}
    return {name: value for name, value in document.items() if value is not None}


def keyword_index(node: Node, name: str, *, shards: int = 1, **types: str) -> None:
    """An index whose texts are keywords, but for the fields that have types of their own."""
    properties = {"@timestamp": {"type": "date"}}
    properties |= {field.replace("__", "."): {"type": kind} for field, kind in types.items()}
    texts = {"texts": {"match_mapping_type": "string", "mapping": KEYWORD}}
    body = {
        "settings": {"number_of_shards": shards, "number_of_replicas": 0},
        "mappings": {"properties": properties, "dynamic_templates": [texts]},
    }
    node.http.put(f"/{name}", json=body).raise_for_status()


def write(node: Node, index: str, documents: Iterable[dict[str, Any]], *, first: int = 0) -> None:
    """Indexes documents under `_id`s that are their numbers, and refreshes."""
    lines = []
    for number, document in enumerate(documents, first):
        lines += [json.dumps({"index": {"_index": index, "_id": str(number)}}), json.dumps(document)]
    body = "\n".join(lines) + "\n"
    answer = node.http.post("/_bulk?refresh=true", content=body, headers={"content-type": "application/x-ndjson"})
    answer.raise_for_status()
    assert not answer.json()["errors"], answer.text[:2000]


def rule(query: str, *index: str, timestamp_override: str = "event.ingested") -> Rule:
    """A rule with this query over these indices."""
    text = f"""
[metadata]
creation_date = "2026/11/01"
maturity = "production"
updated_date = "2026/11/01"

[rule]
author = ["sockwarden"]
description = "A rule of a test"
from = "now-9m"
index = {json.dumps(index)}
language = "kuery"
license = "Apache-2.0"
name = "A rule"
risk_score = 47
rule_id = "3d2a1ec4-1111-4a6f-9a0e-000000000001"
severity = "medium"
type = "query"
query = {json.dumps(query)}
"""
    return replace(parse_rule(text, "a_rule.toml"), timestamp_override=timestamp_override)


def client_of(node: Node) -> Client:
    """A client of the node that gives up soon."""
    return Client(Connection(node.url), attempts=2)


def open_points_in_time(node: Node) -> list[Any]:
    """What OpenSearch holds open."""
    answer = node.http.get("/_search/point_in_time/_all")
    return list(answer.json().get("pits", [])) if answer.status_code == 200 else []
