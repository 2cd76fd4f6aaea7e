"""The DSL where types are known; what is sent without types, cases.jsonl says (test_parser)."""

from __future__ import annotations

from typing import Any

import pytest

from sockwarden.kql import ECS, TypeTable, parse
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.refusal import UnsupportedError

TYPES = TypeTable(
    {
        "k": "keyword",
        "w": "wildcard",
        "n": "long",
        "ip": "ip",
        "t": "date",
        "text": "text",
        "o": "object",
        "o.k": "keyword",
        "o.n": "long",
        "o.t": "date",
        "p": "nested",
        "p.k": "keyword",
        "p.q": "nested",
        "p.q.k": "keyword",
    }
)


def any_of(*queries: Any) -> dict[str, Any]:
    return {"bool": {"should": [*queries], "minimum_should_match": 1}}


def nested(path: str, query: Any) -> dict[str, Any]:
    return {"nested": {"path": path, "query": query, "score_mode": "none"}}


@pytest.mark.parametrize(
    ("query", "dsl"),
    [
        ("k:a b", any_of({"match": {"k": "a b"}})),
        ('k:"a"', any_of({"match_phrase": {"k": "a"}})),
        (r"k:a\*?\\*", any_of({"wildcard": {"k": {"value": r"a\*\?\\*"}}})),
        ("w:/usr/*", any_of({"wildcard": {"w": {"value": "/usr/*"}}})),
        ("k:**", any_of({"wildcard": {"k": {"value": "**"}}})),
        ("k:*", any_of({"exists": {"field": "k"}})),
        ("text:a b*", any_of({"query_string": {"fields": ["text"], "query": "a b*"}})),
        ("x:a*", any_of({"query_string": {"fields": ["x"], "query": "a*"}})),
        ("n:5", any_of({"match": {"n": "5"}})),
        ("n > 5", any_of({"range": {"n": {"gt": "5"}}})),
        ("ip:10.0.0.0/8", any_of({"match": {"ip": "10.0.0.0/8"}})),
        ("t:2026-11-15", any_of({"range": {"t": {"gte": "2026-11-15", "lte": "2026-11-15", "time_zone": "UTC"}}})),
        ("t >= now-1d/d", any_of({"range": {"t": {"gte": "now-1d/d", "time_zone": "UTC"}}})),
        (
            "o.*:5",
            any_of(
                {"match": {"o.k": "5"}},
                {"match": {"o.n": "5"}},
                {"range": {"o.t": {"gte": "5", "lte": "5", "time_zone": "UTC"}}},
            ),
        ),
        ("o.*:x", any_of({"match": {"o.k": "x"}})),
        ("o.n*:x", {"match_none": {}}),
        ("none*:x", any_of({"match": {"none*": "x"}})),
        ('"o.*":x', any_of({"match": {"o.*": "x"}})),
        ("p:{ k:a }", nested("p", any_of({"match": {"p.k": "a"}}))),
        ("p:{ q:{ k:a } }", nested("p", nested("p.q", any_of({"match": {"p.q.k": "a"}})))),
        ("p:{ k*:a }", nested("p", any_of({"match": {"p.k": "a"}}))),
        (
            "p*:a",
            any_of(nested("p", {"match": {"p.k": "a"}}), nested("p.q", {"match": {"p.q.k": "a"}})),
        ),
    ],
)
def test_by_types(query: str, dsl: dict[str, Any]) -> None:
    assert to_dsl(parse(query), TYPES) == dsl


@pytest.mark.parametrize(
    ("query", "construct", "field", "why"),
    [
        ("k:a and n:many", "n:many", "n", "type long"),
        ("n:5*", "n:5*", "n", "no wildcards"),
        ("n:99999999999999999999", "n:99999999999999999999", "n", "outside"),
        ("ip:localhost", "ip:localhost", "ip", "IP address"),
        ("ip > 10.0.0.0/8", "ip > 10.0.0.0/8", "ip", "IP address"),
        ("t:yesterday", "t:yesterday", "t", "ISO dates"),
        ("not k:null", "k:null", "k", "null"),
        ("p.k:a", "p.k:a", "p.k", "p:{ … }"),
        ("p:{ q.k:a }", "q.k:a", "p.q.k", "p.q:{ … }"),
        ("p:{ z:{ k:a } }", "z:{ k:a }", "p.z", "no nested object"),
        ("k:{ a:b }", "k:{ a:b }", "k", "no nested object"),
        ("k:\u202e*null or n:\u202ea", r"n:\u202ea", "n", "type long"),
    ],
)
def test_refused_by_name(query: str, construct: str, field: str, why: str) -> None:
    with pytest.raises(UnsupportedError) as raised:
        to_dsl(parse(query), TYPES)
    assert (raised.value.construct, raised.value.field) == (construct, field)
    assert why in raised.value.why


def test_a_pattern_of_more_fields_than_an_index_answers() -> None:
    with pytest.raises(UnsupportedError, match="cannot express") as raised:
        to_dsl(parse("*:x"), ECS)
    assert "1024 clauses" in raised.value.why
