"""Rules over the indices of a real node: what they find, in which order, and what they say that they could not see."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise

import pytest
from indices import MOMENT, PUBLISHED, at, client_of, connect, keyword_index, open_points_in_time, rule, write
from node import Node

from sockwarden.cluster.client import Client
from sockwarden.cluster.failures import ClusterError
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.readers.index import IndexSource
from sockwarden.rules import Rule

HOUR = 3_600_000


@pytest.fixture
def client(clean: Node) -> Iterator[Client]:
    client = client_of(clean)
    yield client
    client.close()
    assert open_points_in_time(clean) == []


@pytest.fixture
def source(client: Client) -> IndexSource:
    return IndexSource(client)


def found(source: IndexSource, asked: Rule, start: int = 0, end: int = HOUR) -> list[Document]:
    return list(source.search(asked, MOMENT + start, MOMENT + end))


def ids(documents: list[Document]) -> list[str]:
    return [document["_id"] for document in documents]


def test_both_families_the_oldest_first_judged_as_stored(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, ".ds-logs-auditd_manager.auditd-default-000001")
    keyword_index(clean, "auditbeat-9.1.0")
    manager = [connect(5000), connect(1000), connect(3000, process__executable="/usr/bin/docker")]
    beat = [connect(2000), connect(4000, destination__address=None, destination__path="/var/run/docker.sock")]
    write(clean, ".ds-logs-auditd_manager.auditd-default-000001", manager)
    write(clean, "auditbeat-9.1.0", beat, first=100)
    asked = rule(PUBLISHED, "auditbeat-*", ".ds-logs-auditd_manager.auditd-*")
    documents = found(source, asked)
    assert ids(documents) == ["1", "100", "0"]
    first = documents[0]
    assert first["_index"] == ".ds-logs-auditd_manager.auditd-default-000001" and first["_version"] == 1
    assert first["event"] == {"category": ["network"], "action": "connected-to"}
    assert "sockwarden" not in first, "nothing is added to what is stored"
    assert source.warnings() == []


def test_both_ends_of_the_window_belong_to_it(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(moment) for moment in (999, 1000, 2000, 2001)])
    assert ids(found(source, rule(PUBLISHED, "t"), 1000, 2000)) == ["1", "2"]


def test_the_override_counts_and_the_rest_falls_back(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t", event__ingested="date")
    late = [
        connect(0, event__ingested=at(50_000)),
        connect(40_000),
        connect(45_000, event__ingested=at(HOUR * 2)),
        connect(60_000),
        connect(-HOUR, event__ingested=at(55_000)),
    ]
    write(clean, "t", late)
    assert ids(found(source, rule(PUBLISHED, "t"))) == ["1", "0", "4", "3"], "merged by the time that counts"


def test_an_override_that_no_index_knows(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(1)])
    assert ids(found(source, rule(PUBLISHED, "t", timestamp_override="event.ingested"))) == ["0"]


def test_pages_lose_and_double_nothing_where_times_are_equal(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "many", shards=5)
    keyword_index(clean, "more", shards=3)
    # Runs of equal times that are longer than a page, and across its borders; so that sequence numbers meet too.
    write(clean, "many", [connect(0 if number < 7000 else number // 700) for number in range(9000)])
    write(clean, "more", [connect(0) for _ in range(3500)])
    documents = found(source, rule(PUBLISHED, "many", "more"))
    given = [(document["_index"], document["_id"]) for document in documents]
    wanted = {("many", str(number)) for number in range(9000)} | {("more", str(number)) for number in range(3500)}
    assert len(given) == 12_500 and set(given) == wanted
    assert all(a["@timestamp"] <= b["@timestamp"] for a, b in pairwise(documents))


def test_large_documents_make_smaller_pages(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t", process__command_line="text")
    for part in range(8):
        large = [connect(number, process__command_line="x " * 100_000) for number in range(60)]
        write(clean, "t", large, first=60 * part)
    assert len(found(source, rule(PUBLISHED, "t"))) == 480  # 96 MB, more than one answer may have


def test_a_search_that_is_left_closes_its_point_in_time(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(0), connect(1)])
    search = source.search(rule(PUBLISHED, "t"), MOMENT, MOMENT + HOUR)
    assert isinstance(search, Generator)
    next(search)
    assert len(open_points_in_time(clean)) == 1
    search.close()
    assert open_points_in_time(clean) == []


def test_types_that_differ_are_asked_each_by_its_own(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "a", user__id="keyword", source__ip="ip")
    keyword_index(clean, "b", user__id="long", source__ip="keyword")
    keyword_index(clean, "c")
    own = {"user.id": "0", "source.ip": "10.1.2.3"}
    for index in "abc":
        write(clean, index, [connect(1) | own, connect(2) | own | {"user.id": "7"}])
    by_id = found(source, rule("user.id:0 and host.os.type:linux", "a", "b", "c"))
    assert [document["_index"] for document in by_id] == ["a", "b", "c"]
    # A network's name is what only the index of addresses can be asked for as a network.
    by_network = found(source, rule("source.ip:10.0.0.0/8", "a", "b"))
    assert {document["_index"] for document in by_network} == {"a"}
    # A word that a number cannot be is refused there by name, and asked elsewhere.
    assert found(source, rule("user.id:root", "a", "b")) == []
    (told,) = source.warnings()
    assert told.startswith("b cannot be asked") and "user.id" in told


def test_patterns_without_an_index_are_told(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "logs-here")
    write(clean, "logs-here", [connect(0)])
    clean.http.put("/logs-here/_alias/known-as").raise_for_status()
    assert len(found(source, rule(PUBLISHED, "auditbeat-*", "logs-*", "absent", "known-as"))) == 1
    assert source.warnings() == ["no index matches auditbeat-*", "no index matches absent"]
    assert found(source, rule(PUBLISHED, "auditbeat-*")) == []
    assert source.warnings() == ["no index matches auditbeat-*"]
    assert source.warnings() == [], "cleared by the call"


def test_an_index_that_is_closed_is_no_failure(clean: Node, source: IndexSource) -> None:
    for name in ("t-1", "t-2"):
        keyword_index(clean, name)
        write(clean, name, [connect(0)])
    clean.http.post("/t-1/_close").raise_for_status()
    assert [document["_index"] for document in found(source, rule(PUBLISHED, "t-1", "t-2"))] == ["t-2"]


def test_documents_that_carry_only_the_path_are_told_with_the_mend(clean: Node, client: Client) -> None:
    keyword_index(clean, "auditbeat-1")
    path = "/var/run/docker.sock"
    write(clean, "auditbeat-1", [connect(n, destination__address=None, destination__path=path) for n in range(30)])
    asked = rule(PUBLISHED, "auditbeat-*")
    source = IndexSource(client)
    assert found(source, asked) == []
    (told,) = source.warnings()
    assert told == (
        "auditbeat-*: 30 documents in the window, none carries destination.address; "
        "--map destination.address=destination.path is the mend"
    )
    mended = IndexSource(client, {"destination.address": "destination.path"})
    documents = found(mended, asked)
    assert len(documents) == 30 and mended.warnings() == []
    assert {get(document, "destination.address") for document in documents} == {path}, "exceptions see it too"


def test_a_quiet_host_is_no_warning(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "auditbeat-1")
    started = connect(0, event__category="process", event__action="executed", destination__address=None)
    write(clean, "auditbeat-1", [started])
    assert found(source, rule(PUBLISHED, "auditbeat-*")) == [] and source.warnings() == []
    write(clean, "auditbeat-1", [connect(1, host__os__type=None)])
    assert found(source, rule(PUBLISHED, "auditbeat-*"), 1) == []
    assert source.warnings() == ["auditbeat-*: 1 documents in the window, none carries host.os.type"]


def test_what_comes_late_is_found_by_the_next_run(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    clean.http.put("/t/_settings", json={"index.refresh_interval": "-1"}).raise_for_status()
    clean.http.put("/t/_doc/1", json=connect(0)).raise_for_status()
    assert found(source, rule(PUBLISHED, "t")) == [], "not refreshed yet"
    clean.http.post("/t/_refresh").raise_for_status()
    assert ids(found(source, rule(PUBLISHED, "t"))) == ["1"]


def test_shards_that_fail_are_told_and_the_others_give_what_they_have(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "good")
    write(clean, "good", [connect(0)])
    # A time that is a text cannot be sorted by: every search of that shard fails.
    bad = {"mappings": {"properties": {"@timestamp": {"type": "text"}, "event.ingested": {"type": "date"}}}}
    clean.http.put("/bad", json=bad).raise_for_status()
    write(clean, "bad", [{"@timestamp": "never"}])
    assert [document["_index"] for document in found(source, rule(PUBLISHED, "good", "bad"))] == ["good"]
    (told,) = source.warnings()
    assert told.startswith("1 of 2 shards failed, and their documents are missing: bad: ")
    with pytest.raises(ClusterError, match="refused the request") as caught:
        found(source, rule(PUBLISHED, "bad"))
    assert "@timestamp" in caught.value.why


def test_a_point_in_time_that_ends_fails_the_run(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(number) for number in range(1500)])
    search = source.search(rule(PUBLISHED, "t"), MOMENT, MOMENT + HOUR)
    next(search)
    clean.http.delete("/_search/point_in_time/_all").raise_for_status()
    with pytest.raises(InputError, match="point in time ended"):
        list(search)


def test_a_broken_text_in_one_document_hides_no_other(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(0, process__title="\ud800"), connect(1)])
    documents = found(source, rule(PUBLISHED, "t"))
    assert ids(documents) == ["0", "1"]
    assert get(documents[0], "process.title") == "\\ud800"


def test_a_rule_of_a_field_that_no_index_has(clean: Node, source: IndexSource) -> None:
    keyword_index(clean, "t")
    write(clean, "t", [connect(0)])
    assert found(source, rule("nobody.knows:this", "t")) == []
    assert ids(found(source, rule("not nobody.knows:this", "t"))) == ["0"]
