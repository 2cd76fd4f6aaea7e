"""Alerts and accesses written into a real node: each once, whatever happens between, and found by their values."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from indices import at, client_of
from node import Node

from sockwarden.alerts import Detector, build
from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.pipeline import index_templates
from sockwarden.sinks.index import AccessIndex, AlertIndex, BulkCarrier, item
from sockwarden.sinks.spool import Entry, Spool

DETECTOR = Detector("r", "A rule", "medium", 47, "1", [], {"query": "a: b", "tags": ["x"]})


def access(number: int) -> Document:
    return {
        "_index": "sockwarden",
        "_id": hashlib.sha256(str(number).encode()).hexdigest(),
        "_version": 1,
        "@timestamp": at(number),
        "event": {"category": ["network"], "action": "connected-to"},
        "process": {"pid": number, "executable": "/usr/bin/curl", "command_line": "curl --unix-socket x " + "y" * 9000},
        "user": {"id": "0"},
        "host": {"name": "h", "ip": ["10.0.0.1"]},
        "sockwarden": {"socket": {"canonical": "/run/docker.sock", "inode": 2**64 - 1}},
    }


def alert(number: int) -> Document:
    return build(access(number), DETECTOR, view=None)


@pytest.fixture
def client(clean: Node) -> Iterator[Client]:
    client = client_of(clean)
    index_templates.apply(client, index_templates.states(client))
    yield client
    client.close()


def count(node: Node, index: str) -> int:
    node.http.post(f"/{index}/_refresh")
    return int(node.http.get(f"/{index}/_count").raise_for_status().json()["count"])


def empty(spool: Spool) -> bool:
    return spool.waiting == 0


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def test_both_arrive_and_are_found_by_their_values(clean: Node, client: Client, tmp_path: Path) -> None:
    connection = Connection(clean.url)
    alerts, accesses = AlertIndex(connection, tmp_path, "default"), AccessIndex(connection, tmp_path, "default")
    for number in range(1200):
        alerts.add([alert(number)])
    accesses.accesses(map(access, range(1200)))
    until(lambda: alerts.spool.waiting == accesses.spool.waiting == 0)
    alerts.close()
    accesses.close()
    assert alerts.lost == accesses.lost == alerts.refused == accesses.refused == 0
    assert count(clean, "sockwarden-alerts-default") == count(clean, "logs-sockwarden.access-default") == 1200
    streams = client.json("GET", "/_data_stream/logs-sockwarden.access-default")["data_streams"]
    assert len(streams) == 1, "a data stream, not an index of that name"
    for query, hits in [
        ({"term": {"process.executable": "/usr/bin/curl"}}, 1200),
        ({"term": {"process.pid": 7}}, 1),
        ({"term": {"host.ip": "10.0.0.0/8"}}, 1200),
        ({"term": {"kibana.alert.rule.name": "A rule"}}, 1200),
        ({"term": {"kibana.alert.uuid": get(alert(3), "kibana.alert.uuid")}}, 1),
        ({"range": {"@timestamp": {"gte": at(0), "lte": at(9)}}}, 10),
    ]:
        body = {"size": 0, "track_total_hits": True, "query": query}
        found = client.json("POST", "/sockwarden-alerts-default/_search", body)
        assert found["hits"]["total"]["value"] == hits, query


def test_what_is_sent_again_is_there_once(clean: Node, client: Client, tmp_path: Path) -> None:
    for run in range(2):
        folder = tmp_path / str(run)  # a spool that remembers nothing
        folder.mkdir()
        sink = AccessIndex(Connection(clean.url), folder, "default")
        sink.accesses(map(access, range(30)))
        until(partial(empty, sink.spool))
        sink.close()
        assert sink.lost == sink.refused == 0
    assert count(clean, "logs-sockwarden.access-default") == 30


def test_a_refused_document_holds_up_no_other(clean: Node, client: Client, tmp_path: Path) -> None:
    sink = AccessIndex(Connection(clean.url), tmp_path, "default")
    bad = {**access(1), "@timestamp": "no time at all"}
    sink.accesses([access(0), bad, {**access(2), "user": "no object"}, access(3)])
    until(lambda: sink.spool.waiting == 0)
    told = "\n".join(sink.notes())
    sink.close()
    assert count(clean, "logs-sockwarden.access-default") == 2
    assert sink.refused == 2 and sink.lost == 0 and "refused" in told and "@timestamp" in told
    kept = [json.loads(line) for line in (tmp_path / "refused-index-accesses.ndjson").read_text().splitlines()]
    assert len(kept) == 2 and "no time at all" in kept[0]["payload"] and kept[0]["why"].startswith("HTTP 400")


def test_a_request_that_is_refused_whole_is_sent_in_parts(clean: Node, client: Client) -> None:
    carrier = BulkCarrier(Connection(clean.url))
    entries = [Entry(str(number).encode(), item("t", str(number), {"a": number})[1]) for number in range(9)]
    entries[4] = Entry(b"4", b'{"create": {"_index": "t", "_id": "4", "nonsense": 1}}\n{}\n')
    outcome = carrier.send(entries)
    carrier.close()
    assert [refusal.entry.key for refusal in outcome.refused] == [b"4"]
    assert len(outcome.done) == 8 and not outcome.again and count(clean, "t") == 8


def test_a_block_on_writes_is_waited_for(clean: Node, client: Client) -> None:
    clean.http.put("/t", json={"settings": {"index.blocks.write": True}}).raise_for_status()
    carrier = BulkCarrier(Connection(clean.url))
    entries = [Entry(b"1", item("t", "1", {"a": 1})[1])]
    outcome = carrier.send(entries)
    assert not outcome.done and not outcome.refused and "block" in outcome.again
    clean.http.put("/t/_settings", json={"index.blocks.write": None}).raise_for_status()
    assert list(carrier.send(entries).done) == entries
    carrier.close()


def test_a_cluster_that_is_away_for_a_while(
    tmp_path_factory: pytest.TempPathFactory, clean: Node, tmp_path: Path
) -> None:
    own = Node(tmp_path_factory.mktemp("away"))
    own.start()
    client = client_of(own)
    index_templates.apply(client, index_templates.states(client))
    client.close()
    sink = AlertIndex(Connection(own.url), tmp_path, "default")
    try:
        sink.add([alert(0)])
        until(lambda: sink.spool.waiting == 0)
        own.stop()
        began = time.monotonic()
        for number in range(1, 400):
            sink.add([alert(number)])
        assert time.monotonic() - began < 5, "nobody waits for the cluster"
        until(lambda: any("cannot be delivered" in note for note in sink.notes()))
        assert sink.spool.waiting == 399
        own.start()
        until(lambda: sink.spool.waiting == 0, 60)
        until(lambda: any("delivered again" in note for note in sink.notes()))
        assert count(own, "sockwarden-alerts-default") == 400 and sink.refused == 0
    finally:
        sink.close()
        own.stop()


def test_templates_are_put_once_and_taken_away_alone(clean: Node) -> None:
    client = client_of(clean)
    wanted = index_templates.templates()
    assert set(index_templates.states(client).values()) == {"new"}
    index_templates.apply(client, index_templates.states(client))
    assert index_templates.states(client) == dict.fromkeys(wanted, "unchanged")
    clean.http.post("/_bulk", content=item("logs-sockwarden.access-x", "1", access(1))[1], headers=NDJSON)
    kept = index_templates.remove(client, index_templates.states(client))
    assert set(kept) == {"/_index_template/sockwarden-accesses", "/_component_template/sockwarden-ecs"}
    assert "in use by a data stream" in kept["/_index_template/sockwarden-accesses"]
    assert count(clean, "logs-sockwarden.access-x") == 1, "data stays"
    clean.http.delete("/_data_stream/logs-sockwarden.access-x").raise_for_status()
    assert index_templates.remove(client, index_templates.states(client)) == {}
    assert set(index_templates.states(client).values()) == {"new"}
    client.close()


NDJSON = {"content-type": "application/x-ndjson"}


def test_a_template_of_somebody_else_is_left_alone(clean: Node) -> None:
    client = client_of(clean)
    foreign: dict[str, Any] = {"index_patterns": ["x-*"], "priority": 7}
    clean.http.put("/_index_template/sockwarden-alerts", json=foreign).raise_for_status()
    found = index_templates.states(client)
    with pytest.raises(InputError, match="is not sockwarden's"):
        index_templates.apply(client, found)
    assert clean.http.get("/_component_template/sockwarden-ecs").status_code == 404, "nothing was changed"
    index_templates.remove(client, found)
    assert clean.http.get("/_index_template/sockwarden-alerts").status_code == 200
    client.close()
