"""When a rule looks, and when a document was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.kql.dates import date_ms
from sockwarden.rules import Rule, parse_rule
from sockwarden.rules.moments import span_ms, time_of, window

NOW = 1_795_600_800_123


def rule(further: str = "") -> Rule:
    return parse_rule(
        f"""
[rule]
description = "A description."
name = "A name"
rule_id = "00000000-0000-4000-8000-000000000001"
type = "query"
language = "kuery"
index = ["logs-*"]
severity = "low"
risk_score = 21
query = 'event.action:"connected-to"'
{further}
""",
        "x.toml",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("2w", 1_209_600_000)],
)
def test_spans(text: str, expected: int) -> None:
    assert span_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5M", "-5m", "5 m", "5m ", "\N{ARABIC-INDIC DIGIT FIVE}m", "5y", "1.5h"]
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="no time span"):
        span_ms(text)


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        ("", (NOW - 360_000, NOW)),  # Kibana's default
        ('from = "now-9m"', (NOW - 540_000, NOW)),
        ('from = "now-2w"\nto = "now-1d"', (NOW - 1_209_600_000, NOW - 86_400_000)),
        ('from = "now"', (NOW, NOW)),
    ],
)
def test_windows(further: str, expected: tuple[int, int]) -> None:
    assert window(rule(further), NOW) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-25T10:00:00.123Z", 1_795_600_800_123),
        ("2026-11-25T10:00:00.123999999Z", 1_795_600_800_123),
        ("2026-11-25T10:00:00,5Z", 1_795_600_800_500),
        ("2026-11-25T10:00:00", 1_795_600_800_000),
        ("2026-11-25T11:00:00+01:00", 1_795_600_800_000),
        ("2026-11-25T11:00:00+0100", 1_795_600_800_000),
        ("2026-11-25T11:00:00+01", 1_795_600_800_000),
        ("2026-11-25T04:30:00-05:30", 1_795_600_800_000),
        ("2026-11-25T10:00Z", 1_795_600_800_000),
        ("2026-11-25", 1_795_564_800_000),
        (1_795_600_800_123, 1_795_600_800_123),
        (1_795_600_800_123.7, 1_795_600_800_123),
        ("1795600800123", 1_795_600_800_123),
        (-1, -1),
        ("yesterday", None),
        ("now", None),
        ("", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**30, None),
        ({}, None),
        (None, None),
        ("2026-13-01T00:00:00Z", None),
    ],
)
def test_dates(value: object, expected: int | None) -> None:
    assert date_ms(value) == expected


@given(st.text() | st.floats() | st.integers() | st.from_regex(r"[0-9TZ:.,+-]{0,40}"))
def test_no_value_is_too_strange(value: object) -> None:
    assert isinstance(date_ms(value), int | None)


OVERRIDE = 'timestamp_override = "event.ingested"'
STRICT = f"{OVERRIDE}\ntimestamp_override_fallback_disabled = true"


@pytest.mark.parametrize(
    ("further", "document", "expected"),
    [
        ("", {"@timestamp": "1970-01-01T00:00:01Z"}, 1000),
        ("", {"@timestamp": ["1970-01-01T00:00:03Z", "1970-01-01T00:00:02Z", 9000]}, 2000),
        ("", {"event": {"ingested": 5}}, None),
        ("", {"@timestamp": None}, None),
        (OVERRIDE, {"@timestamp": 1_795_000_001_000, "event": {"ingested": 1_795_000_005_000}}, 1_795_000_005_000),
        (
            OVERRIDE,
            {"@timestamp": 1, "event": [{"ingested": 1_795_000_007_000}, {"ingested": 1_795_000_005_000}]},
            1_795_000_005_000,
        ),
        (OVERRIDE, {"@timestamp": 1_795_000_001_000}, 1_795_000_001_000),
        (OVERRIDE, {"@timestamp": 1_795_000_001_000, "event": {"ingested": []}}, 1_795_000_001_000),
        (STRICT, {"@timestamp": 1_795_000_001_000}, None),
        (STRICT, {"@timestamp": 1_795_000_001_000, "event": {"ingested": 1_795_000_005_000}}, 1_795_000_005_000),
    ],
)
def test_the_time_of_a_document(further: str, document: dict[str, Any], expected: int | None) -> None:
    assert time_of(document, rule(further)) == expected
