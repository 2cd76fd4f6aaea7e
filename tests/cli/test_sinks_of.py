"""Which sinks the settings ask for, by name and in their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sockwarden.cli.sinks_of import sinks_of, terminal_of
from sockwarden.settings import Config
from sockwarden.settings.load import parse_config
from sockwarden.sinks.live import LiveSink


def config_of(text: str) -> Config:
    return parse_config(text, Path("/etc/x.toml")).config


@pytest.fixture(autouse=True)
def _real_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with (tmp_path / "out").open("w+") as file:
        monkeypatch.setattr("sys.stdout", file)
        yield


def test_standard_output_comes_last(tmp_path: Path) -> None:
    config = config_of(f'[sinks]\nfile.path = "{tmp_path}/alerts.ndjson"\njournald.enabled = true\n')
    sinks = sinks_of(config, "ndjson", tmp_path)
    assert list(sinks) == ["file", "journald", "stdout"]
    assert terminal_of(sinks) is None
    for sink in sinks.values():
        sink.close()


def test_a_terminal_is_for_people_and_can_be_switched_off(tmp_path: Path) -> None:
    sinks = sinks_of(Config(), "text", tmp_path)
    assert isinstance(terminal_of(sinks), LiveSink)
    quiet = config_of("[sinks.terminal]\nenabled = false\n")
    assert sinks_of(quiet, "text", tmp_path) == {}
    assert list(sinks_of(quiet, "ecs", tmp_path)) == ["stdout"]
