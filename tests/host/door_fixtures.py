"""The door as a fixture, for modules that name this one in `pytest_plugins`, beside runtime_fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import FOLDER, Door
from runtimes import made


@pytest.fixture
def door(client: Path, audit: None) -> Iterator[Door]:
    """A door, while the machine's audit is this test's alone; its state must be the same afterwards."""
    with made(FOLDER):
        door = Door(client)
        yield door
        door.close()
