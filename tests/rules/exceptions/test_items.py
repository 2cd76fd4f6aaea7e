"""Exception items over documents: cases.jsonl, each with documents to which the item applies and does not, and with
what it is in KQL (null where KQL cannot say it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.kql import compile_query, parse, to_json
from sockwarden.rules.exceptions import ExceptionItem, as_query
from sockwarden.rules.exceptions.form import item_problems
from sockwarden.rules.exceptions.item import item_of
from sockwarden.rules.exceptions.patterns import compile_pattern
from sockwarden.rules.exceptions.values import Contains, parse_values

CASES = [
    msgspec.json.decode(line, type=dict[str, Any])
    for line in (Path(__file__).parent / "cases.jsonl").read_bytes().splitlines()
]
LISTS = {
    ("executables", "keyword"): "/usr/bin/a\n\n/usr/bin/b c\r\n",
    ("addresses", "ip"): "192.0.2.1\n2001:db8::1\n",
    ("ranges", "ip_range"): "192.0.2.1-192.0.2.9\n192.0.2.5 - 192.0.2.12\n10.0.0.0/24\n2001:db8::/32\n198.51.100.1",
    ("dates", "date"): "2026-11-25T10:00:00Z\n",
    ("texts", "text"): "the quick brown fox\nthe lazy dog\n",
    ("numbers", "long"): "7\n9\n",
}


def item(case: dict[str, Any]) -> ExceptionItem:
    table = {"item_id": "i", "name": case["of"], "entries": case["entries"]}
    if "os_types" in case:
        table["os_types"] = case["os_types"]
    assert list(item_problems(table)) == []
    lists: dict[tuple[str, str], Contains] = {key: parse_values(text, key[1]) for key, text in LISTS.items()}
    return item_of(table, "l", lists)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["of"])
def test_an_item_applies_where_it_should(case: dict[str, Any]) -> None:
    one = item(case)
    for documents, expected in ((case["yes"], True), (case["no"], False)):
        assert documents
        for document in documents:
            assert one.matches(document) is expected, document
            explained = one.explain(document)
            assert explained.applies is expected
            assert len(explained.traces) == len(one.entries)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["of"])
def test_an_item_is_the_query_that_it_can_be(case: dict[str, Any]) -> None:
    query = as_query([item(case)])
    if case["kql"] is None:
        assert query is None
        return
    assert query is not None
    assert to_json(query) == to_json(parse(case["kql"]))
    matches = compile_query(query)
    assert [matches(document) for document in case["yes"] + case["no"]] == [True] * len(case["yes"]) + [False] * len(
        case["no"]
    )


def test_several_items_are_one_query_only_where_each_is() -> None:
    said, unsaid = item(CASES[0]), item(next(case for case in CASES if case["kql"] is None))
    assert as_query([]) is None
    assert as_query([said, unsaid]) is None
    both = as_query([said, said])
    assert both is not None
    assert compile_query(both)(CASES[0]["yes"][0])


def test_a_trace_says_what_was_seen() -> None:
    case = next(case for case in CASES if case["of"] == "every entry must apply")
    traces = item(case).explain({"user": {"id": ["0", "1", "2", "3", "4", "5", "6"]}, "host": {"name": "b"}}).traces
    assert [(trace.entry, trace.applies) for trace in traces] == [('user.id is "0"', True), ('host.name is "a"', False)]
    assert traces[0].values == ("0", "1", "2", "3", "4")
    assert traces[0].more and not traces[1].more
    assert traces[1].values == ("b",)


def test_an_expired_item_applies_no_more() -> None:
    table = {**CASES[0], "item_id": "i", "name": "n", "expire_time": "2026-11-25T10:00:00.000Z"}
    one = item_of(table, "l", {})
    assert one.expire_time == 1_795_600_800_000
    assert not one.expired(1_795_600_799_999)
    assert one.expired(1_795_600_800_000)
    assert not item(CASES[0]).expired(1 << 60)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"field": "source.ip", "operator": "excluded", "type": "wildcard", "value": "10.*"}, "takes no wildcards"),
        (
            {"field": "source.ip", "operator": "excluded", "type": "match", "value": "x"},
            "'x' is nothing that source.ip",
        ),
        ({"field": "process.pid", "operator": "excluded", "type": "match_any", "value": ["1", "y"]}, "'y' is nothing"),
        ({"field": "a", "operator": "included", "type": "matches", "value": "x"}, "did you mean `match`?"),
        ({"field": "a", "operator": "included", "value": "x"}, "it is missing"),
        ({"field": "a", "operator": "include", "type": "match", "value": "x"}, "did you mean `included`?"),
        ({"field": "a b", "operator": "included", "type": "exists"}, "expected a field's name"),
        ({"field": "a", "operator": "included", "type": "match", "value": ""}, "not empty"),
        ({"field": "a", "operator": "included", "type": "match_any", "value": []}, "at least one string"),
        (
            {"field": "a", "operator": "included", "type": "list", "list": {"id": "../x", "type": "ip"}},
            "without a path",
        ),
        (
            {"field": "a", "operator": "included", "type": "list", "list": {"id": "x", "type": "shape"}},
            "keyword, boolean",
        ),
        (
            {
                "field": "a",
                "type": "nested",
                "entries": [{"field": "b", "operator": "included", "type": "wildcard", "value": "x"}],
            },
            "inside of a nested entry",
        ),
        ({"field": "a", "type": "nested", "entries": []}, "at least one entry"),
    ],
)
def test_entries_that_say_nothing_are_refused(entry: dict[str, Any], told: str) -> None:
    problems = list(item_problems({"item_id": "i", "name": "n", "entries": [entry]}))
    assert len(problems) == 1
    assert told in problems[0].message
    assert problems[0].path[:2] == ("entries", 0)


def test_a_pattern_never_backtracks() -> None:
    fits = compile_pattern("*" + "?a*" * 200 + "b")
    assert not fits("a" * 20_000)
    assert fits("xa" * 200 + "b")
