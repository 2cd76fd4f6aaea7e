"""What an endpoint or a method does: its operation. The data is content/operations.toml."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple

import msgspec

from sockwarden.content import packaged

Risk = Literal["low", "medium", "high", "critical"]
RISKS: tuple[Risk, ...] = ("low", "medium", "high", "critical")
"""From the least on."""
Kind = Literal["access", "creation", "change", "deletion", "start", "end", "info", "admin"]

UNKNOWN, UNPROVEN = "unknown", "unproven"

_MOST_BEFORE, _MOST_AFTER = 3, 2
"""Segments of a pattern before and after its hole."""
_ONE = "*"


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation as the catalogue has it; what each key means stands there."""

    name: str
    kind: Kind
    risk: Risk
    exposes: str
    technique: tuple[str, ...] = ()
    object: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    rpc: tuple[str, ...] = ()


class _Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    services: dict[str, tuple[str, ...]]
    operation: tuple[Operation, ...]


class Match(NamedTuple):
    """The operation of an endpoint, and what of the path names its object: empty where nothing does."""

    operation: Operation
    object: str = ""


_Key = tuple[str, tuple[str, ...], tuple[str, ...]]


@cache
def catalogue() -> dict[str, Operation]:
    """Every operation by its name."""
    return {operation.name: operation for operation in _read().operation}


def operation_of(name: str) -> Operation:
    """The operation of this name, `unknown` for any other."""
    return catalogue().get(name) or catalogue()[UNKNOWN]


def http_operation(method: str, path: str) -> Match:
    """The operation of an HTTP endpoint; the path is decoded, clean, and without its version.

    As the daemons route: methods and paths are case-sensitive, and an endpoint without a hole comes first.
    """
    exact, holed = _endpoints()
    if (found := exact.get((method, path.rstrip("/") or "/"))) is not None:
        return Match(found)
    segments = tuple(path.strip("/").split("/"))
    for before, after, ends in _cuts(segments):
        if (found := holed.get((method, before, ends))) is not None:
            return Match(found, "/".join(segments[len(before) : len(segments) - after]))
    return Match(catalogue()[UNKNOWN])


def rpc_operation(method: str) -> Match:
    """The operation of a gRPC or ttrpc method, written "/package.Service/Method"."""
    return Match(_methods().get(method) or catalogue()[UNKNOWN])


def _cuts(segments: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, tuple[str, ...]]]:
    """Ways to see a path as segments, a hole, and segments: of the longest end first, then of the longest beginning."""
    for after in range(min(_MOST_AFTER, len(segments) - 1), -1, -1):
        end = segments[len(segments) - after :]
        for ends in (end, (*end[:-1], _ONE)) if after == _MOST_AFTER else (end,):
            for before in range(min(_MOST_BEFORE, len(segments) - after - 1), -1, -1):
                yield segments[:before], after, ends


@cache
def _read() -> _Catalogue:
    return msgspec.toml.decode(packaged("operations.toml").read_bytes(), type=_Catalogue)


@cache
def _endpoints() -> tuple[dict[tuple[str, str], Operation], dict[_Key, Operation]]:
    exact: dict[tuple[str, str], Operation] = {}
    holed: dict[_Key, Operation] = {}
    for operation in _read().operation:
        for endpoint in operation.http:
            method, path = endpoint.split(" ")
            if "{" not in path:
                exact[method, path] = operation
                continue
            segments = path.strip("/").split("/")
            hole = next(index for index, segment in enumerate(segments) if segment.startswith("{"))
            after = tuple(_ONE if segment.startswith("{") else segment for segment in segments[hole + 1 :])
            holed[method, tuple(segments[:hole]), after] = operation
    return exact, holed


@cache
def _methods() -> dict[str, Operation]:
    services = _read().services
    return {
        f"/{service}/{method}": operation
        for operation in _read().operation
        for short, method in (one.split("/") for one in operation.rpc)
        for service in services[short]
    }
