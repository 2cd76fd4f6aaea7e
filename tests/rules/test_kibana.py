"""Kibana's export: what goes in comes out again."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sockwarden.content import packaged
from sockwarden.rules import parse_rule
from sockwarden.rules.kibana import export, read_export
from sockwarden.rules.tomltext import to_toml

RULES = sorted(
    (file.name, file.read_text("utf-8")) for file in packaged("rules").iterdir() if file.name.endswith(".toml")
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = TEXT.map(lambda text: "N" + "".join(c for c in text if c not in "\r\n"))
PROSE = TEXT.map(lambda text: "P" + text)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "rule_id": str(draw(st.uuids())),
        "name": draw(NAMES),
        "description": draw(PROSE),
        "type": "query",
        "language": "kuery",
        "index": ["logs-*"],
        "query": 'event.action: a\n  or user.name: "b"',
        "severity": "low",
        "risk_score": draw(st.integers(0, 100)),
        "actions": draw(st.sampled_from([None, []])),
        "note": draw(TEXT),
        "tags": draw(st.lists(TEXT, max_size=3)),
        "meta": draw(st.dictionaries(TEXT, JSON, max_size=3)),
        "enabled": draw(st.booleans()),
        "updated_at": "2026-11-22T00:00:00Z",
    }
    further = draw(st.dictionaries(TEXT.map(lambda text: "x-" + text), JSON, max_size=3))
    return rule | further


@st.composite
def lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    head: dict[str, Any] = {"list_id": "a list", "namespace_type": "agnostic", "name": draw(NAMES), "type": "detection"}
    head |= {"description": draw(TEXT), "id": "1", "tie_breaker_id": None, "meta": draw(JSON)}
    item: dict[str, Any] = {
        "list_id": "a list",
        "item_id": "i",
        "namespace_type": "agnostic",
        "type": "simple",
        "name": draw(NAMES),
    }
    item |= {
        "description": draw(TEXT),
        "expire_time": None,
        "comments": draw(st.lists(st.dictionaries(TEXT, JSON), max_size=2)),
    }
    entries = [{"field": "user.id", "operator": "included", "type": "match", "value": draw(PROSE)}]
    nested = {"field": "a", "type": "nested", "entries": entries}
    return [head, item | {"entries": [*entries, nested]}]


def again(lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
    read = read_export(b"\n".join(lines))
    assert not read.refused
    assert not read.notes
    texts: dict[str, list[str]] = {"rule": [], "exception list": []}
    for one in read.found:
        texts[one.kind].append(to_toml(one.table))
    return export(texts["rule"], texts["exception list"]).lines


def parsed(lines: tuple[bytes, ...]) -> list[Any]:
    return [json.loads(line) for line in lines]


@UNHURRIED
@given(rules(), lists())
def test_what_kibana_exports_comes_out_again(rule: dict[str, Any], with_items: list[dict[str, Any]]) -> None:
    reference = {"id": "1", "list_id": "a list", "namespace_type": "agnostic", "type": "detection"}
    objects = [rule | {"exceptions_list": [reference]}, *with_items]
    exported = parsed(again(tuple(json.dumps(one).encode() for one in objects)))
    assert exported[:-1] == objects
    assert exported[-1]["exported_count"] == 3
    assert exported[-1]["exported_exception_list_item_count"] == 1


@pytest.mark.parametrize(("name", "text"), RULES, ids=[name for name, _ in RULES])
def test_a_packaged_rule_comes_out_again(name: str, text: str) -> None:
    rule = tomllib.loads(text)["rule"]
    mine = {
        "list_id": "m",
        "name": "M",
        "applies_to": [rule["rule_id"]],
        "item": [{"name": "I", "item_id": "i", "entries": []}],
    }
    mine["item"][0]["entries"] = [{"field": "user.id", "operator": "included", "type": "exists"}]
    lines = export([text], [to_toml(mine)]).lines
    assert parsed(lines)[0] == rule | {
        "exceptions_list": [{"id": "m", "list_id": "m", "namespace_type": "single", "type": "detection"}]
    }
    assert parsed(again(lines)) == parsed(lines)


ACTING: list[dict[str, Any]] = [
    {"risk_score_mapping": [{"field": "f", "operator": "equals", "value": "", "risk_score": None}]},
    {"alert_suppression": {"group_by": ["host.id"], "duration": None, "missing_fields_strategy": "doNotSuppress"}},
    {"severity_mapping": [{"field": "f", "operator": "equals", "value": "3", "severity": "high", "x": None}]},
    {"exceptions_list": [{"id": "1", "list_id": "l", "type": "detection", "namespace_type": "single", "x": None}]},
]
PLAIN: dict[str, Any] = {
    "rule_id": "r",
    "name": "N",
    "description": "D",
    "type": "query",
    "language": "kuery",
    "index": ["logs-*"],
    "query": "a: b",
    "severity": "low",
    "risk_score": 1,
}


@pytest.mark.parametrize("acting", ACTING, ids=[next(iter(one)) for one in ACTING])
def test_what_acts_still_acts_when_a_null_is_in_it(acting: dict[str, Any]) -> None:
    (one,) = read_export(json.dumps(PLAIN | acting).encode()).found
    text = to_toml(one.table)
    rule = parse_rule(text, "x.toml")
    assert rule.risk_score_mapping or rule.suppression or rule.severity_mapping or rule.exception_lists
    assert parsed(export([text], []).lines)[0] == PLAIN | acting


def test_what_a_person_changes_in_the_file_counts() -> None:
    (one,) = read_export(json.dumps(PLAIN | ACTING[0] | {"note": None}).encode()).found
    changed = one.table | {"rule": one.table["rule"] | {"risk_score_mapping": []}}
    assert parsed(export([to_toml(changed)], []).lines)[0] == PLAIN | {"risk_score_mapping": [], "note": None}
    removed = one.table | {"rule": {key: one.table["rule"][key] for key in PLAIN}}
    assert parsed(export([to_toml(removed)], []).lines)[0] == PLAIN | {"note": None}


def test_a_reference_is_filled_up_from_its_list() -> None:
    item = {"name": "I", "item_id": "i", "entries": [{"field": "a", "operator": "included", "type": "exists"}]}
    mine = to_toml({"list_id": "m", "name": "M", "type": "rule_default", "item": [item]})
    rule = to_toml({"rule": PLAIN | {"exceptions_list": [{"list_id": "m"}]}})
    assert parsed(export([rule], [mine]).lines)[0]["exceptions_list"] == [
        {"id": "m", "list_id": "m", "namespace_type": "single", "type": "rule_default"}
    ]


REFUSED = [
    ({"type": "eql", "rule_id": "x", "name": "An EQL rule"}, "rule of type eql", "type eql is not run here"),
    ({"type": "query", "rule_id": "x", "name": "N"}, "rule of type query", "missing key `query`"),
    (
        PLAIN | {"filters": [{"meta": {"alias": None}, "query": {"match_phrase": {"a": "b"}}}]},
        "rule of type query",
        "`filters` in [rule] is refused",
    ),
    (PLAIN | {"actions": [{"id": "x", "uuid": None}]}, "rule of type query", "`actions` in [rule] is refused"),
    ({"list_id": "x", "name": "N", "type": 7}, "exception list", "expected detection, rule_default or endpoint"),
    ({"list_id": "x", "entries": [], "name": "N"}, "exception item", "its list is not in the export"),
    ({"id": "x", "type": "action", "name": "Slack"}, "saved object action", "neither a rule"),
]


@pytest.mark.parametrize(("found", "kind", "why"), REFUSED, ids=[why for _, _, why in REFUSED])
def test_what_is_refused_is_told(found: dict[str, Any], kind: str, why: str) -> None:
    (refusal,) = read_export(b"\n" + json.dumps(found).encode()).refused
    assert (refusal.line, refusal.type, refusal.name) == (2, kind, found.get("name", ""))
    assert why in refusal.why


@UNHURRIED
@given(st.lists(JSON, max_size=4), st.binary(max_size=30))
def test_any_lines(values: list[Any], end: bytes) -> None:
    content = b"\n".join([*(json.dumps(value).encode() for value in values), end])
    assert not read_export(content).found


def test_a_list_that_is_not_there_is_counted() -> None:
    rule = tomllib.loads(RULES[0][1])
    rule["rule"]["exceptions_list"] = [{"list_id": "gone"}]
    found = export([to_toml(rule)], [])
    assert found.missing == ("gone",)
    assert parsed(found.lines)[-1]["missing_exception_lists"] == [{"list_id": "gone"}]
