"""The time by which alerts are folded and shown."""

from __future__ import annotations

import pytest

from sockwarden.pipeline.hunt import Window
from sockwarden.sinks.fold import time_of


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1970-01-01T00:00:01.000Z", 1.0),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01", 0.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_time_of(far_from_greenwich: None, time: str | None, seconds: float | None) -> None:
    assert time_of({"@timestamp": time}) == seconds


@pytest.mark.parametrize(
    ("time", "held"),
    [
        ("2026-11-22T00:30:00", True),
        ("2026-11-22T01:30:00+01:00", True),
        ("2026-11-22T00:30:00+01:00", False),
        ("0999-01-01T00:00:00+00:00", False),
        ("0001-01-01T00:00:00+23:59", True),
    ],
)
def test_window(far_from_greenwich: None, time: str, held: bool) -> None:
    window = Window(since="2026-11-22T00:00:00.000Z", until="2026-11-22T01:00:00.000Z")
    assert window.holds({"@timestamp": time}) is held
