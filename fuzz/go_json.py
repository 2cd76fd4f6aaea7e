"""JSON bodies, as Go reads them, and what is said of a container that they would make."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.requests.describe import describe
from sockwarden.requests.facts.shape import MOST_ITEMS, MOST_TEXT
from sockwarden.requests.go_json import Object, Value, as_fields, as_object, read, read_object
from sockwarden.requests.grading import grade
from sockwarden.requests.message import Asked
from sockwarden.requests.redaction import redact_body

LONGEST = 2048

_TABLES = Path(__file__).parents[1] / "tests" / "requests"
_MOST_DESCRIBED = 1 << 20
_MOST_OPEN = 100
_LONE = re.compile("[\ud800-\udfff]")
_TARGETS = (
    "/containers/create",
    "/libpod/containers/create",
    "/containers/x/exec",
    "/volumes/create",
    "/services/create",
    "/plugins/pull",
)


def seeds() -> Iterator[bytes]:
    """The texts that Go was asked about, and the bodies of requests."""
    for line in (_TABLES / "go_json.jsonl").read_text("utf-8").splitlines():
        yield bytes.fromhex(json.loads(line)["hex"])
    for line in (_TABLES / "requests.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if "body" in row and len(data := json.dumps(row["body"]).encode()) <= LONGEST:
            yield data


def check(data: bytes) -> None:
    """What Python's json takes as strict JSON is read as the same; any text is described, within bounds."""
    value, state = read(data)
    strict = _strict(data)
    if strict is not None:
        assert state == "whole", state
        assert _same(value, strict[0]), (value, strict)
    if isinstance(value, Object):
        as_object(as_fields(value))
        _fields(value)
    redact_body(data)
    for target in _TARGETS:
        described = describe(Asked(0, "http/1.1", "POST", target, (), data, len(data)), store_bodies=True)
        assert len(described.summary.splitlines()) <= 1
        _is_bounded(msgspec.to_builtins(described))
        grade(msgspec.to_builtins(described), {"origin": "host"})


def _strict(data: bytes) -> list[Any] | None:
    """The value in a list; None where Go and Python may differ: no JSON, keys that come again, no UTF-8. Nor of a deep
    one, which Python compares by recursion.
    """
    if data.count(b"[") + data.count(b"{") > _MOST_OPEN:
        return None
    try:
        return [json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)]
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key came again")
    return found


def _refuse(name: str) -> None:
    raise ValueError(name)


def _same(value: Value, strict: Any) -> bool:
    if isinstance(value, Object):
        return isinstance(strict, dict) and all(
            key == _character(other) and _same(child, strict[other])
            for (key, child), other in zip(value.pairs, strict, strict=True)
        )
    if isinstance(value, list):
        return isinstance(strict, list) and all(_same(one, other) for one, other in zip(value, strict, strict=True))
    if isinstance(value, str):
        return isinstance(strict, str) and value == _character(strict)
    if isinstance(value, float) and isinstance(strict, int):
        try:
            return value == float(strict)
        except OverflowError:
            return True
    return value is strict or (type(value) is type(strict) and value == strict)


def _character(text: str) -> str:
    """Python keeps lone surrogates, Go has U+FFFD."""
    return _LONE.sub("\ufffd", text)


def _fields(value: Object) -> None:
    found, _ = read_object(b'{"a":[1]}')
    for name in [*(key for key, _ in value.pairs), *(key for key, _ in found.pairs)]:
        value.text(name), value.flag(name), value.number(name), value.structs(name), value.text_map(name)
        assert value.elements(name) is None or isinstance(value.elements(name), list)


def _is_bounded(described: dict[str, Any]) -> None:
    for part in described.values():
        for one in part.values() if isinstance(part, dict) else ():
            assert not isinstance(one, str) or len(one) <= MOST_TEXT
            assert not isinstance(one, list) or len(one) <= MOST_ITEMS
    assert len(json.dumps(described)) <= _MOST_DESCRIBED
