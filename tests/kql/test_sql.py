"""Conditions in duckdb's SQL, over documents as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sockwarden.kql import TypeTable, parse
from sockwarden.kql.refusal import UnsupportedError
from sockwarden.kql.sql import irregular, to_sql

CASES = [json.loads(line) for line in Path(__file__).with_name("sql.jsonl").read_text("utf-8").splitlines()]
NOW = 1_794_745_800_000_000_000
TYPES = TypeTable(
    {
        "k": "keyword",
        "k.raw": "keyword",
        "o.k": "keyword",
        "w": "wildcard",
        "n": "long",
        "f": "double",
        "b": "boolean",
        "ip": "ip",
        "t": "date",
        "text": "text",
        "geo": "geo_point",
        "p": "nested",
        "p.k": "keyword",
        "p.n": "long",
        "p.q": "nested",
        "p.q.k": "keyword",
    }
)


def matches(query: str, document: Any) -> bool:
    condition = to_sql(parse(query), TYPES, clock=lambda: NOW)
    line = document if isinstance(document, str) else json.dumps(document)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {condition}, {irregular('line')} FROM (SELECT l AS line, l::JSON AS document FROM (SELECT ? l))",  # noqa: S608
            [line],
        ).fetchone()
    assert found is not None
    assert found[0] in (True, False)
    assert found[1] is False
    return bool(found[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['query']} | {case['document']}")
def test_case(case: dict[str, Any]) -> None:
    assert matches(case["query"], case["document"]) is case["matches"]
    if case["query"]:
        assert matches(f"not ({case['query']})", case["document"]) is not case["matches"]


HOSTILE = [
    "' OR true --",
    "'); DROP TABLE x; --",
    '"] FOR',
    "a\\",
    "a\0b",
    "$.x",
    "\\",
    '"',
    "a\nb",
    "(?s).*",
    "\\E.*",
    "[a",
    "é\U0001f600",
    "{{x}}",
    "%s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_stay_texts(text: str) -> None:
    quoted = json.dumps(text)
    assert matches(f"k:{quoted}", {"k": text})
    assert not matches(f"k:{quoted}", {"k": "other"})
    if "." not in text:
        assert matches(f"{quoted}:x", {text: "x"})
    assert not matches(f"{quoted}:x", {"k": "x"})
    wild = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in text).strip()
    assert matches(f"k:*{wild}*", {"k": f"a{text}\nb"}) or not text.strip("*")
    assert not matches(f"k:*{wild}*", {"k": "other"})


@pytest.mark.parametrize(
    ("query", "construct", "field"),
    [
        ("k:a and text:b", "text:b", "text"),
        ("not lone", "lone", ""),
        ("q:{ k:a }", "q:{ k:a }", "q"),
        ("p.k:a", "p.k:a", "p.k"),
        ("p:{ k*:a }", "k*:a", "p.k*"),
        ("geo:a", "geo:a", "geo"),
        ("x > now-1d", "x > now-1d", "x"),
        ("t*:x", "t*:x", "text"),
    ],
)
def test_refused_by_name(query: str, construct: str, field: str) -> None:
    with pytest.raises(UnsupportedError) as raised:
        to_sql(parse(query), TYPES)
    assert (raised.value.construct, raised.value.field) == (construct, field)
    assert f"SQL cannot express `{construct}`" in str(raised.value)


@pytest.mark.parametrize(
    "line", ['{"a":[[1]]}', '{"a":[1, [2]]}', '{"a.b":1}', '{"a\\u002eb":1}', '{"a":', "x", '{"a":"\\ud800"}']
)
def test_irregular(line: str) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {irregular('l')} FROM (SELECT ? AS l)", [line]).fetchone() == (True,)  # noqa: S608
