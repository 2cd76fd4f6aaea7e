"""A store with real accesses, at the times that a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.detect import RuleDetection
from sockwarden.literals import Wanted
from sockwarden.pipeline.replay import Replay
from sockwarden.readers import format_of, plan
from sockwarden.rules import load_packaged, select
from sockwarden.sockets import packaged
from sockwarden.store import Store

Accesses = Callable[..., list[dict[str, Any]]]
LOG = Path(__file__).parents[2] / "data" / "captures" / "inode-rules.audit.log"
S = 1_795_000_000_000
"""When the first run starts."""


def _documents() -> Iterator[dict[str, Any]]:
    (published,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    catalogue = packaged()
    for stream in plan([str(LOG)]):
        with stream:
            replay = Replay(catalogue, Wanted(addresses=catalogue.wanted.addresses))
            for document in replay.documents(stream, format_of(stream)):
                if published.matches(document):
                    yield document


@pytest.fixture(scope="session")
def recorded() -> list[dict[str, Any]]:
    """Accesses of a recording that the published rule matches."""
    found = list(_documents())
    assert len(found) > 40
    return found


@pytest.fixture
def accesses(recorded: list[dict[str, Any]]) -> Accesses:
    """`accesses(count, start, step)`: as recorded, so many, at these times in ms; each call makes other ones."""
    made = 0

    def make(count: int, start: int, step: int = 1000, **more: Any) -> list[dict[str, Any]]:
        nonlocal made
        found = []
        for number in range(count):
            made += 1
            moment = datetime.fromtimestamp((start + number * step) / 1000, UTC)
            time = f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
            identity = hashlib.sha256(b"%d" % made).hexdigest()
            like = recorded[number % len(recorded)]
            found.append({**like, "_id": identity, "_version": 1, "@timestamp": time, **more})
        return found

    return make


@pytest.fixture
def published() -> Callable[..., RuleDetection]:
    """`published(max_signals=5)`: the published rule, with other parameters where a test wants them."""
    (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
    return lambda **changed: RuleDetection(msgspec.structs.replace(rule, **changed))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "state", create=True) as store:
        yield store
