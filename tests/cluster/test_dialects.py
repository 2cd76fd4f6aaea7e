"""What each server is asked for a point in time. OpenSearch is also asked for real (tests/opensearch); there is no
Elasticsearch here, so this is the shape of its documented requests and no proof that it takes them.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from answering import Serve, answer

from sockwarden.cluster.client import Client
from sockwarden.cluster.connection import Connection
from sockwarden.cluster.failures import ClusterError
from sockwarden.cluster.indices import index_path, names, stream_of
from sockwarden.cluster.pit import PointInTime
from sockwarden.readers.index.pages import Pages

SERVERS: dict[str, tuple[dict[str, str], str, dict[str, str], tuple[str, dict[str, Any]]]] = {
    "elasticsearch": ({"number": "9.1.0"}, "POST /a*,b/_pit?", {"id": "x1"}, ("DELETE /_pit", {"id": "x2"})),
    "opensearch": (
        {"number": "2.19.1", "distribution": "opensearch"},
        "POST /a*,b/_search/point_in_time?",
        {"pit_id": "x1"},
        ("DELETE /_search/point_in_time", {"pit_id": ["x2"]}),
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_point_in_time_is_opened_and_always_closed(serve: Serve, server: str) -> None:
    version, opens, opened, (closes, closed) = SERVERS[server]
    asked: list[tuple[str, str]] = []

    def record(request: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append((f"{request.command} {request.path}", body.decode()))
        answer(request, 200, json.dumps({"version": version} if request.path == "/" else opened).encode())

    client = Client(Connection(f"http://127.0.0.1:{serve(record)}"))
    with pytest.raises(ZeroDivisionError), PointInTime(client, ("a*", "b")) as pit:
        assert pit.clause == {"id": "x1", "keep_alive": "5m"}
        pit.renewed("x2")
        pit.renewed(None)
        raise ZeroDivisionError
    client.close()
    assert asked[1][0].startswith(opens) and "keep_alive=5m" in asked[1][0] and asked[1][1] == ""
    assert (asked[2][0], json.loads(asked[2][1])) == (closes, closed)
    assert len(asked) == 3


@pytest.mark.parametrize(("server", "tie"), [("elasticsearch", "_shard_doc"), ("opensearch", "_seq_no")])
def test_pages_follow_by_what_each_server_can_sort_by(serve: Serve, server: str, tie: str) -> None:
    version, _, opened, _ = SERVERS[server]
    bodies: list[dict[str, Any]] = []

    def page(request: BaseHTTPRequestHandler, body: bytes) -> None:
        told: dict[str, Any] = {"version": version} | opened
        if request.path == "/_search":
            bodies.append(json.loads(body))
            first = 0 if len(bodies) == 1 else 999
            hits = [{"_index": "a", "_id": str(n), "_version": 2, "_source": {}, "sort": [5, n]} for n in range(1003)]
            told = {"pit_id": f"x{len(bodies)}", "hits": {"hits": hits[first : first + 1000]}}
        answer(request, 200, json.dumps(told).encode())

    client = Client(Connection(f"http://127.0.0.1:{serve(page)}"))
    with PointInTime(client, ("a",)) as pit:
        found = [hit.id for hit in Pages(client, pit, {}).hits({"match_all": {}}, "@timestamp")]
    client.close()
    assert found == [str(number) for number in range(1003)]
    assert [list(by) for by in bodies[0]["sort"]] == [["@timestamp"], [tie]]
    assert "search_after" not in bodies[0] and bodies[1]["search_after"] == [5, 998], "the last place again"
    assert bodies[1]["pit"]["id"] == "x1" and bodies[0]["version"] and bodies[0]["seq_no_primary_term"]


def test_a_cluster_that_is_gone_at_the_end_hides_no_error(serve: Serve) -> None:
    def once(request: BaseHTTPRequestHandler, _: bytes) -> None:
        told = {"version": SERVERS["elasticsearch"][0], "id": "x"}
        answer(request, 500 if request.command == "DELETE" else 200, json.dumps(told).encode())

    client = Client(Connection(f"http://127.0.0.1:{serve(once)}"))
    with PointInTime(client, ("a",)):
        pass
    client.close()


def test_no_point_in_time_in_the_answer(serve: Serve) -> None:
    told = json.dumps({"version": SERVERS["opensearch"][0], "id": "of the wrong server"}).encode()
    client = Client(Connection(f"http://127.0.0.1:{serve(lambda request, _: answer(request, 200, told))}"))
    with pytest.raises(ClusterError, match="without pit_id"), PointInTime(client, ("a",)):
        pass
    client.close()


@pytest.mark.parametrize(
    ("pattern", "index", "fits"),
    [
        ("auditbeat-*", "auditbeat-9.1.0", True),
        ("logs-auditd_manager.auditd-*", ".ds-logs-auditd_manager.auditd-default-2026.11.21-000001", True),
        ("logs-auditd_manager.auditd-*", ".ds-logs-auditd_manager.auditd-default-000001", True),
        ("logs-a-b", ".ds-logs-a-b-000012", True),
        ("eu:logs-*", "eu:.ds-logs-a-b-2026.11.21-000012", True),
        ("*", "anything", True),
        ("logs-*", "auditbeat-9", False),
        ("log?-*", "logs-1", False),
        ("log[s]-*", "logs-1", False),
        (".ds-logs-*", ".ds-logs-a-b-000012", True),
    ],
)
def test_what_a_pattern_names(pattern: str, index: str, fits: bool) -> None:
    assert names(pattern, index) is fits


def test_names_that_stay_in_their_place() -> None:
    assert (
        index_path(("a*", "../_all", "x y", "<l-{now/d}>", "eu:b")) == "/a*,..%2F_all,x%20y,%3Cl-%7Bnow%2Fd%7D%3E,eu:b"
    )
    assert stream_of("eu:.ds-x-2026.01.02-000003") == "x" and stream_of("plain-1") == "plain-1"
