"""Documents for the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def access() -> Make:
    """`access(number)` makes an access; its size is that of `padding` and more, since that does not compress."""

    def make(number: int, *, time: float = 1_795_000_000.0, padding: int = 0) -> dict[str, Any]:
        noise = "".join(hashlib.sha256(b"%d %d" % (number, part)).hexdigest() for part in range(padding // 32))
        return {
            "_id": hashlib.sha256(b"%d" % number).hexdigest(),
            "@timestamp": _moment(time),
            "process": {"pid": number, "title": noise},
        }

    return make


@pytest.fixture
def alert() -> Make:
    """`alert(number)` makes an alert."""

    def make(number: int, *, time: float = 1_795_000_000.0) -> dict[str, Any]:
        rule = {"rule_id": "r1", "name": "A Rule"}
        uuid = hashlib.sha256(b"alert %d" % number).hexdigest()
        signal = {"uuid": uuid, "severity": "medium", "risk_score": 47, "rule": rule}
        return {"@timestamp": _moment(time), "kibana": {"alert": signal}}

    return make
