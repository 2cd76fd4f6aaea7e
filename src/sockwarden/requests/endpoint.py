"""Where a request goes: the one place that joins targets and bodies, which others read, with what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sockwarden.requests.bodies import INCOMPLETE, answer_of, body_of
from sockwarden.requests.go_json import Object, as_object
from sockwarden.requests.message import Asked
from sockwarden.requests.operations import UNPROVEN, Match, catalogue, http_operation, rpc_operation
from sockwarden.requests.target import path_of

_FORM = "application/x-www-form-urlencoded"
_WITH_FORM = frozenset({"POST", "PUT", "PATCH"})
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class Endpoint(NamedTuple):
    """An operation with what the target says. path and query are empty for gRPC and ttrpc.

    family  whose bodies it takes: docker, libpod, cri, containerd
    """

    match: Match
    family: str
    path: str = ""
    query: Mapping[str, list[str]] = MappingProxyType({})


def endpoint_of(asked: Asked) -> Endpoint:
    """Of a request; one without a method is unproven."""
    if not asked.method:
        return Endpoint(Match(catalogue()[UNPROVEN]), "")
    if asked.method.startswith("/"):
        family = "cri" if asked.method.startswith("/runtime.") else "containerd"
        return Endpoint(rpc_operation(asked.method), family)
    target = path_of(asked.target)
    family = "libpod" if target.path.startswith("/libpod/") else "docker"
    query = _grouped([*_form(asked), *target.query])
    return Endpoint(http_operation(asked.method, target.path), family, target.path, query)


def _form(asked: Asked) -> tuple[tuple[str, str], ...]:
    """What a form in the body adds to the query: Go's Request.ParseForm puts it first."""
    kind = next((value for name, value in asked.headers if name == "content-type"), "")
    if asked.method not in _WITH_FORM or kind.partition(";")[0].strip().lower() != _FORM:
        return ()
    text = _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", asked.body.decode("latin-1"))
    return path_of(f"/?{text}").query


def rpc_body(method: str, body: bytes) -> tuple[Object, bool] | None:
    """The body of a gRPC or ttrpc call, and whether that is all of it; None for a method whose body is not read."""
    found = body_of(method, body)
    return None if found is None else (as_object(found), INCOMPLETE not in found)


def rpc_answer(method: str, body: bytes) -> Object:
    """The answer to a gRPC or ttrpc call; empty for a method whose answer is not read."""
    return as_object(answer_of(method, body))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    return query
