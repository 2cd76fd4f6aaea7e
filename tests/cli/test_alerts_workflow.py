"""`sockwarden alerts acknowledge`, `close` and `open`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sockwarden.alerts import Detector, build
from sockwarden.cli.alerts import alerts
from sockwarden.errors import UsageError
from sockwarden.store import Store

RULE = Detector("r", "A Rule", "medium", 47, "1", [], {})


@pytest.fixture
def kept(tmp_path: Path) -> list[str]:
    """The uuids of three alerts in the store."""
    found = [build({"_id": str(number), "@timestamp": "2026-11-21T00:00:00Z"}, RULE, view=None) for number in range(3)]
    with Store(tmp_path, create=True) as store:
        store.add(found)
    return [alert["kibana"]["alert"]["uuid"] for alert in found]


def ask(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(alerts, [*arguments, "--state", str(folder)], standalone_mode=False)


def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    output = ask(folder, "list", "--json", *arguments).stdout
    return [json.loads(line)["kibana"]["alert"] for line in output.splitlines()]


@pytest.mark.parametrize(
    ("commands", "shown"),
    [
        ([], {"open": 3, "acknowledged": 0, "closed": 0, "all": 3, None: 3}),
        (["acknowledge"], {"open": 2, "acknowledged": 1, "closed": 0, "all": 3, None: 3}),
        (["close"], {"open": 2, "acknowledged": 0, "closed": 1, "all": 3, None: 2}),
        (["close", "open"], {"open": 3, "acknowledged": 0, "closed": 0, "all": 3, None: 3}),
    ],
)
def test_what_is_listed(tmp_path: Path, kept: list[str], commands: list[str], shown: dict[str | None, int]) -> None:
    for command in commands:
        assert "1 alert " in ask(tmp_path, command, kept[0][:12]).stdout
    for status, count in shown.items():
        found = listed(tmp_path, *(["--status", status] if status else []))
        assert len(found) == count
        assert {one["workflow_status"] for one in found} <= ({status} if status not in (None, "all") else set(shown))


def test_who_and_when(tmp_path: Path, kept: list[str]) -> None:
    ask(tmp_path, "close", kept[0], kept[1], kept[0])
    for alert in listed(tmp_path, "--status", "closed"):
        assert alert["workflow_user"] and alert["workflow_status_updated_at"].endswith("Z")
    shown = ask(tmp_path, "show", kept[1]).stdout
    assert "closed by" in shown


def test_one_wrong_id_changes_none(tmp_path: Path, kept: list[str]) -> None:
    assert isinstance(ask(tmp_path, "close", kept[0], "ff" * 32).exception, UsageError)
    assert len(listed(tmp_path)) == 3


def test_an_alert_that_is_found_again_stays_closed(tmp_path: Path, kept: list[str]) -> None:
    ask(tmp_path, "close", kept[0])
    with Store(tmp_path, create=False) as store:
        store.add([build({"_id": "0", "@timestamp": "2026-11-21T00:00:00Z"}, RULE, view=None)])
    assert len(listed(tmp_path)) == 2
