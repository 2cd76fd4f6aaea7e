"""`--sensor` and [sensors] use: which sources are tried, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from sockwarden.cli.main import cli
from sockwarden.cli.sensors_of import AUTO, SENSORS, Asked, lookers_of, sources_of
from sockwarden.settings import Config
from sockwarden.settings.config import Sensor

ASKED = Asked(Config(), Path("/nonexistent"))


def test_the_settings_have_the_same_names() -> None:
    assert {*get_args(Sensor)} == {AUTO, *SENSORS}


@pytest.mark.parametrize("name", SENSORS)
def test_one_by_its_name(name: str) -> None:
    (source,) = sources_of(name, ASKED)
    assert source.name == name


def test_auto_tries_them_all_and_audit_last() -> None:
    assert [source.name for source in sources_of(AUTO, ASKED)] == list(SENSORS)
    assert list(SENSORS)[-1] == "audit", "the one that works on every kernel"


def test_what_looks_beside_it_pauses() -> None:
    assert all(looker.seconds > 0 for looker in lookers_of(Config()))


def test_another_name_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["watch", "--sensor", "x-ray"])
    assert result.exit_code == 2
    assert all(name in result.output for name in (AUTO, *SENSORS))
