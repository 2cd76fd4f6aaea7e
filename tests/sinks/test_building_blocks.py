"""Building blocks are for rules: what people read leaves them out, what machines read has them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sockwarden.document import Document, put
from sockwarden.sinks import LineSink
from sockwarden.sinks.live import LiveSink
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.terminal import TerminalSink
from sockwarden.sinks.told import as_document, of_alert, of_many
from sockwarden.sinks.webhook import Webhook

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def both(alert: Make) -> list[Document]:
    """A building block, and an alert for people."""
    block = alert(1, title="block")
    put(block, "kibana.alert.building_block_type", "default")
    return [block, alert(2, title="person")]


def test_recorded_logs_on_a_terminal(both: list[Document]) -> None:
    out = Console(file=io.StringIO(), width=100)
    sink = TerminalSink(out)
    for one in both:
        sink.add(one)
    sink.close()
    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert "person" in printed and "block" not in printed
    assert sink.left_out == 1


def test_live_on_a_terminal(both: list[Document], tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as file:
        sink = LiveSink(Console(file=file, width=100))
        sink.add(both[:1])
        sink.add(both)
        sink.close()
        file.seek(0)
        printed = file.read()
    assert "person" in printed and "block" not in printed


def test_a_receiver_of_messages(both: list[Document], hook: Any, tmp_path: Path) -> None:
    sink = SpooledSink("a", Webhook(f"http://127.0.0.1:{hook.port}/x"), tmp_path)
    sink.add(both[:1])
    sink.add(both)
    sink.close()
    assert [body["process"]["title"] for body in hook.bodies] == ["person"]


def test_lines_have_them(both: list[Document]) -> None:
    file = io.BytesIO()
    sink = LineSink("ndjson", file)
    for one in both:
        sink.add(one)
    sink.close()
    assert file.getvalue().count(b"\n") == 2


def test_messages_tell_the_events_time(alert: Make) -> None:
    """A run's alerts all have the run's time for their own."""
    alerts = [alert(number, serial=number) for number in (3, 1, 2)]
    for one in alerts:
        one["@timestamp"] = "2026-11-23T00:00:00.000Z"
    assert ("Time", "2026-11-22T10:00:03.000Z") in of_alert(alerts[0]).facts
    told = of_many(alerts)
    assert told.text.endswith("from 2026-11-22T10:00:01.000Z to 2026-11-22T10:00:03.000Z")
    assert as_document(told, alerts)["@timestamp"] == "2026-11-22T10:00:03.000Z"
