"""The node itself: it is a real one, and takes and finds a document."""

from __future__ import annotations

from node import Node


def test_a_document_is_found(clean: Node) -> None:
    assert clean.http.get("/").json()["version"]["distribution"] == "opensearch"
    clean.http.put("/t/_doc/1?refresh=true", json={"process": {"executable": "/usr/bin/curl"}}).raise_for_status()
    found = clean.http.post("/t/_search", json={"query": {"match": {"process.executable.keyword": "/usr/bin/curl"}}})
    assert [hit["_id"] for hit in found.json()["hits"]["hits"]] == ["1"]
