"""Answers that no cluster gives: each ends the search with one clear error, or counts for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any

import pytest
from answering import Servers, answer

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.errors import InputError
from sockwarden.readers.index import IndexSource
from sockwarden.rules import load_packaged, select

FIELDS = {"indices": ["auditbeat-1"], "fields": {"process.executable": {"keyword": {"type": "keyword"}}}}
INFO = {"version": {"distribution": "opensearch", "number": "2.19.1"}, "cluster_name": "c"}


class Cluster:
    """Says what a cluster says, but for its searches."""

    def __init__(self) -> None:
        self.hits: list[Any] = []
        self.counts: dict[str, Any] = {}

    def __call__(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        given: dict[str, Any] = INFO | {"pit_id": "p"}
        if "_field_caps" in request.path:
            given = FIELDS
        elif "_search" in request.path and b'"aggs"' in body:
            given = self.counts
        elif "_search" in request.path and b'"pit"' in body:
            given = {"hits": {"hits": self.hits[: json.loads(body)["size"]]}}
        answer(request, 200, json.dumps(given).encode())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def source(cluster: Cluster) -> Iterator[IndexSource]:
    servers = Servers()
    client = Client(Connection(f"http://127.0.0.1:{servers.start(cluster)}"), attempts=1)
    yield IndexSource(client)
    client.close()
    servers.stop()


def found(source: IndexSource) -> list[Any]:
    (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    return list(islice(source.search(rule, 0, 10**13), 5000))


def test_the_same_page_again_and_again(cluster: Cluster, source: IndexSource) -> None:
    cluster.hits = [
        {"_index": "auditbeat-1", "_id": str(number), "sort": [1, number], "_source": {"@timestamp": 1}}
        for number in range(1000)
    ]
    with pytest.raises(InputError, match="repeats itself"):
        found(source)


@pytest.mark.parametrize("hits", [[], {"total": {"value": "x"}}, {"total": {"value": 3}}])
@pytest.mark.parametrize("counts", [[], "x", {"carry0": {"doc_count": "x"}, "rest0": {"doc_count": None}}])
def test_counts_that_are_none(cluster: Cluster, source: IndexSource, hits: Any, counts: Any) -> None:
    cluster.counts = {"hits": hits, "aggregations": counts}
    assert found(source) == []
