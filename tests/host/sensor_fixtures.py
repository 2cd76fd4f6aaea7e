"""An open audit sensor on a socket of its own, and what its tests ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sensing import listen

from sockwarden.sensors.audit import AuditSensor


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Path]:
    """A socket with a listener, in a folder of its own."""
    folder = tmp_path / "run"
    folder.mkdir()
    with listen(folder / "docker.sock"):
        yield folder / "docker.sock"


@pytest.fixture
def sensor(tmp_path: Path, address: Path) -> Iterator[AuditSensor]:
    opened = AuditSensor(tmp_path / "runtime")
    opened.open()
    try:
        assert opened.follow([str(address)]) == []
        yield opened
    finally:
        assert opened.close() == []
        assert opened.close() == []
