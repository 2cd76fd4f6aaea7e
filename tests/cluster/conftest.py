"""Servers on loopback that end with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from answering import Serve, Servers


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers."""
    servers = Servers()
    yield servers.start
    servers.stop()
