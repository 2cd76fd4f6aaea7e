"""The evaluator's cases, asked of a real index: what it answers must be what we say.

Each document has an index of its own, mapped with ECS's types, further fields as they come: texts as keywords. The
query is put into DSL by the types that the index then tells. A case with `"node": REASON` is one in which we differ on
purpose; `"nested"` names what must be mapped as nested objects. Left out: what asks for `now`, which is not ours to set
there, and what the index does not take.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from node import Node

from sockwarden.kql import ECS, TypeTable, parse
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.refusal import UnsupportedError

FILES = sorted(Path(__file__).parents[1].joinpath("kql").glob("evaluate*.jsonl"))
CASES = [json.loads(line) for file in FILES for line in file.read_text("utf-8").splitlines()]


def test_the_index_answers_as_the_cases_say(clean: Node) -> None:
    def judge(number: int, case: dict[str, Any]) -> str | None:
        """Empty where both agree, None where the index cannot be asked."""
        if "node" in case or "now" in case["query"] or not (index := _stored(clean, f"case-{number}", case)):
            return None
        answer, why = _ask(clean, index, case["query"])
        clean.http.delete(f"/{index}")
        return "" if answer is case["matches"] else json.dumps({**case, "answer": answer, "because": why})

    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(judge, range(len(CASES)), CASES))
    assert not any(verdicts), "\n".join(filter(None, verdicts))
    assert sum(verdict is not None for verdict in verdicts) > len(CASES) * 0.8


def _stored(node: Node, index: str, case: dict[str, Any]) -> str:
    """The index that holds the case's document alone; empty where none would take it."""
    body = {
        "mappings": _mapping_of(case["document"], case.get("nested", ())),
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    }
    node.http.put(f"/{index}", json=body).raise_for_status()
    return "" if node.http.put(f"/{index}/_doc/1?refresh=true", json=case["document"]).is_error else index


def _ask(node: Node, index: str, query: str) -> tuple[bool, str]:
    """Whether the index finds its document, and the reason where it cannot be asked: that is no match."""
    fields = node.http.get(f"/{index}/_field_caps?fields=*").json()["fields"]
    types = TypeTable({name: next(iter(kinds)) for name, kinds in fields.items() if not name.startswith("_")})
    try:
        dsl = to_dsl(parse(query), types)
    except UnsupportedError as refusal:
        return False, refusal.why
    found = node.http.post(f"/{index}/_count", json={"query": dsl}).json()
    return ("error" not in found and bool(found["count"])), str(found.get("error", ""))


def _mapping_of(document: dict[str, Any], nested: list[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name in (*nested, *sorted(_names_of(document, ""))):
        kind = "nested" if name in nested else ECS.type_of(name)
        if kind not in (None, "object"):
            _put(properties, name.split("."), str(kind))
    texts = {"match_mapping_type": "string", "mapping": {"type": "keyword"}}
    return {"properties": properties, "dynamic_templates": [{"texts": texts}]}


def _names_of(value: Any, name: str) -> set[str]:
    """The fields of a document, objects among them, and the multi-fields that ECS has of them."""
    if isinstance(value, list):
        return set().union(*(_names_of(each, name) for each in value))
    if isinstance(value, dict):
        return {name} | set().union(*(_names_of(child, f"{name}.{key}".lstrip(".")) for key, child in value.items()))
    return {name}


def _put(properties: dict[str, Any], parts: list[str], kind: str) -> None:
    *parents, last = parts
    for part in parents:
        properties = properties.setdefault(part, {}).setdefault("properties", {})
    field = properties.setdefault(last, {})
    # OpenSearch names two types otherwise; a scaled_float needs its factor.
    field["type"] = {"flattened": "flat_object", "constant_keyword": "keyword"}.get(kind, kind)
    if kind == "scaled_float":
        field["scaling_factor"] = 1000
    if ECS.type_of(name := ".".join((*parents, last, "text"))) is not None and kind in ("keyword", "wildcard"):
        field["fields"] = {"text": {"type": ECS.type_of(name)}}
