"""Evaluator, DSL on the real node and duckdb's SQL say the same of random queries and documents.

SOCKWARDEN_SEED=N draws others; a failure tells its seed.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from typing import Any

import drawn
import duckdb
from node import Node

from sockwarden.kql import Node as Tree
from sockwarden.kql import TypeTable, compile_query, parse
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.printer import print_query
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.sql import to_sql

SEED = int(os.environ.get("SOCKWARDEN_SEED", "20261115"))
QUERIES, DOCUMENTS = 300, 60
INDEX = "agree"
KINDS = {
    *("and", "or", "not", "nested", "is", "range", "exists"),
    *("text", "wildcard", "constant", "field", "fieldless", "field pattern"),
}

Verdicts = frozenset[int]


def test_three_agree(clean: Node) -> None:
    now = time.time_ns()
    source = drawn.Drawn(SEED, now / 1e9)
    documents = [source.document() for _ in range(DOCUMENTS)]
    queries = [source.query() for _ in range(QUERIES)]
    queries = [parse(print_query(query)) for query in queries]  # as they would come in
    stored = index(clean, documents)
    by_evaluator = [evaluated(query, stored, now) for query in queries]
    by_node = on_the_node(clean, queries)
    by_sql = in_duckdb(queries, stored, now)

    wrong = [
        f"{print_query(query)}\n  evaluator {sorted(expected)}\n  {name} {sorted(found)}\n  differ "
        + "".join(f"\n    {number}: {json.dumps(documents[number])}" for number in sorted(expected ^ found)[:2])
        for name, verdicts in (("node", by_node), ("duckdb", by_sql))
        for query, expected, found in zip(queries, by_evaluator, verdicts, strict=True)
        if found is not None and found != expected
    ]
    assert not wrong, f"seed {SEED}: {len(wrong)} disagreements\n" + "\n".join(wrong[:15])

    asked = [i for i in range(QUERIES) if by_node[i] is not None and by_sql[i] is not None]
    pairs = len(asked) * DOCUMENTS
    matched = sum(len(by_evaluator[i]) for i in asked)
    seen = Counter(kind for query in queries for kind in drawn.kinds(query))
    refused_by_sql = sum(verdict is None for verdict in by_sql)
    refused_by_dsl = sum(verdict is None for verdict in by_node)
    told = (
        f"seed {SEED}: {pairs} pairs by all three, {matched} match; refused: SQL {refused_by_sql}, DSL {refused_by_dsl}"
    )
    assert pairs >= 2000, told
    assert matched >= 0.3 * pairs, told
    assert seen.keys() >= KINDS, told
    assert refused_by_sql <= 0.35 * QUERIES, told
    assert refused_by_dsl <= 0.1 * QUERIES, told


def index(node: Node, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All at once; gives back what the node took."""
    node.http.put(f"/{INDEX}", json={"mappings": drawn.mapping()}).raise_for_status()
    lines = [
        line
        for number, document in enumerate(documents)
        for line in ({"index": {"_index": INDEX, "_id": str(number)}}, document)
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    response = node.http.post("/_bulk?refresh=true", content=body, headers={"Content-Type": "application/x-ndjson"})
    refused = [item["index"]["error"] for item in response.json()["items"] if "error" in item["index"]]
    assert not refused, refused[:3]
    return documents


def types_of(node: Node) -> TypeTable:
    """As the index tells them: it knows the dynamic fields, too."""
    fields = node.http.get(f"/{INDEX}/_field_caps?fields=*").json()["fields"]
    types = {name: next(iter(kinds)) for name, kinds in fields.items() if not name.startswith("_") and "._" not in name}
    return TypeTable(types)


def evaluated(query: Tree, documents: list[dict[str, Any]], now: int) -> Verdicts:
    matches = compile_query(query, clock=lambda: now, types=drawn.TYPES)
    return frozenset(number for number, document in enumerate(documents) if matches(document))


def on_the_node(node: Node, queries: list[Tree]) -> list[Verdicts | None]:
    """None where the DSL was refused."""
    types = types_of(node)
    verdicts: list[Verdicts | None] = [None] * len(queries)
    asked: list[tuple[int, dict[str, Any]]] = []
    for number, query in enumerate(queries):
        try:
            asked.append((number, to_dsl(query, types)))
        except UnsupportedError:
            continue
    for start in range(0, len(asked), 100):
        batch = asked[start : start + 100]
        body = "".join(
            f"{json.dumps({'index': INDEX})}\n{json.dumps({'query': dsl, 'size': DOCUMENTS, '_source': False})}\n"
            for _, dsl in batch
        )
        answer = node.http.post("/_msearch", content=body, headers={"Content-Type": "application/x-ndjson"}).json()
        for (number, dsl), found in zip(batch, answer["responses"], strict=True):
            assert "error" not in found, f"{print_query(queries[number])}\n{dsl}\n{found}"
            assert found["_shards"]["failed"] == 0, found
            verdicts[number] = frozenset(int(hit["_id"]) for hit in found["hits"]["hits"])
    return verdicts


def in_duckdb(queries: list[Tree], documents: list[dict[str, Any]], now: int) -> list[Verdicts | None]:
    """None where SQL refused."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE documents (number INTEGER, document JSON)")
        rows = [(number, json.dumps(document)) for number, document in enumerate(documents)]
        connection.executemany("INSERT INTO documents VALUES (?, ?)", rows)
        verdicts: list[Verdicts | None] = []
        for query in queries:
            try:
                condition = to_sql(query, drawn.TYPES, clock=lambda: now)
            except UnsupportedError:
                verdicts.append(None)
                continue
            found = connection.execute(f"SELECT number FROM documents WHERE {condition}").fetchall()  # noqa: S608
            verdicts.append(frozenset(number for (number,) in found))
    return verdicts
