"""The bodies of gRPC and ttrpc calls as plain dictionaries, by the table in content/grpc_bodies.toml.

Keys are the definitions' own field names. What a message leaves out is left out: in proto3 that is the zero value
(False, 0, "", the enumeration's first name). A body that is cut, or that readers may differ about, has
`incomplete: True` at the top: it may hold more than the dictionary says.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from sockwarden.content import packaged
from sockwarden.requests import go_json, protobuf

INCOMPLETE = "incomplete"
"""Key of a dictionary that may lack some of the body."""

_INTEGERS = {"int32": (32, True), "int64": (64, True), "uint32": (32, False), "uint64": (64, False)}


class Table(msgspec.Struct, frozen=True):
    """content/grpc_bodies.toml; of a message's fields: number to name and kind."""

    method: dict[str, tuple[str, str]]
    typed: dict[str, str]
    enum: dict[str, dict[int, str]]
    message: dict[str, dict[int, tuple[str, str]]]


@cache
def table() -> Table:
    """The packaged table."""
    raw = msgspec.toml.decode(packaged("grpc_bodies.toml").read_bytes())
    methods: dict[str, tuple[str, str]] = {}
    for pattern, (request, response) in raw["method"].items():
        versions = re.search(r"\{(.*)\}", pattern)
        for version in versions[1].split(",") if versions else [""]:
            methods[re.sub(r"\{.*\}", version, pattern)] = request, response
    return Table(
        methods,
        raw["typed"],
        {name: {int(number): text for number, text in values.items()} for name, values in raw["enum"].items()},
        {name: {int(number): _field(text) for number, text in rows.items()} for name, rows in raw["message"].items()},
    )


def _field(text: str) -> tuple[str, str]:
    name, _, kind = text.partition(" ")
    return name, kind


def body_of(method: str, body: bytes) -> dict[str, Any] | None:
    """A request's body, as `Asked` has it; None for a method whose body is not read. Never raises."""
    return _read(table().method.get(method, ("", ""))[0], body)


def answer_of(method: str, body: bytes) -> dict[str, Any]:
    """An answer's body, as `Answered` has it; empty for a method whose answer is not read. Never raises."""
    return _read(table().method.get(method, ("", ""))[1], body) or {}


def _read(message: str, body: bytes) -> dict[str, Any] | None:
    if not message:
        return None
    reader = _Reader()
    found = reader.message(message, body)
    return found if reader.whole else {**found, INCOMPLETE: True}


class _Reader:
    """One body. whole: nothing was cut, and nothing is told apart by readers."""

    def __init__(self) -> None:
        self.whole = True

    def message(self, name: str, data: bytes) -> dict[str, Any]:
        fields = protobuf.read(data)
        self.whole &= fields.whole
        found: dict[str, Any] = {}
        for number, (key, kind) in table().message[name].items():
            values = fields.values.get(number, [])
            if fields.cut and fields.cut[0] == number and kind != "map" and _has_parts(kind):
                values = [*values, fields.cut[1]]
            value = self._value(kind, fields.numbers.get(number, []), values)
            if value is not None:
                found[key] = value
        return found

    def _value(self, kind: str, numbers: list[int], values: list[bytes]) -> Any:
        """A field's value, None where it has none: of a scalar the last one counts, of a message all together."""
        if kind.startswith("[]"):
            return self._repeated(kind[2:], numbers, values)
        if kind == "bool" or kind in _INTEGERS or kind.startswith("enum:"):
            return _number(kind, numbers[-1]) if numbers else None
        if not values:
            return None
        if kind == "string":
            return _text(values[-1])
        if kind == "secret":
            return True
        if kind == "map":
            return dict(map(self._entry, values))
        if kind == "json":
            return self._json(b"".join(values))
        if kind == "any":
            return self._any(b"".join(values))
        return self.message(kind, b"".join(values))

    def _repeated(self, kind: str, numbers: list[int], values: list[bytes]) -> list[Any] | None:
        if kind in _INTEGERS:
            numbers = [*numbers, *(number for value in values for number in self._packed(value))]
            return [_number(kind, number) for number in numbers] or None
        return [self._value(kind, [], [value]) for value in values] or None

    def _packed(self, data: bytes) -> list[int]:
        numbers = []
        at = 0
        while at < len(data) and (found := protobuf.varint(data, at)) is not None:
            number, at = found
            numbers.append(number)
        self.whole &= at == len(data)
        return numbers

    def _entry(self, data: bytes) -> tuple[str, str]:
        fields = protobuf.read(data)
        self.whole &= fields.whole
        return _text(fields.values.get(1, [b""])[-1]), _text(fields.values.get(2, [b""])[-1])

    def _json(self, data: bytes) -> Any:
        """The JSON in a google.protobuf.Any, as Go reads it; of one that cannot be read what is whole."""
        fields = protobuf.read(data)
        value = fields.cut[1] if fields.cut and fields.cut[0] == 2 else fields.values.get(2, [b""])[-1]
        self.whole &= fields.whole
        found, state = go_json.read(value)
        self.whole &= state == "whole" and isinstance(found, go_json.Object)
        return go_json.as_fields(found) if isinstance(found, go_json.Object) else {}

    def _any(self, data: bytes) -> dict[str, Any]:
        fields = protobuf.read(data)
        self.whole &= fields.whole
        url = _text(fields.values.get(1, [b""])[-1])
        name = table().typed.get(url.rpartition("/")[2])
        inner = self.message(name, fields.values.get(2, [b""])[-1]) if name else {}
        return {"type_url": url, **inner}


def _has_parts(kind: str) -> bool:
    """Whether the first bytes of a kind's value say something."""
    return kind in ("secret", "any", "json") or kind.removeprefix("[]") in table().message


def _number(kind: str, value: int) -> bool | int | str:
    if kind == "bool":
        return bool(value)
    bits, signed = _INTEGERS.get(kind, (32, True))
    value &= (1 << bits) - 1
    if signed and value >> (bits - 1):
        value -= 1 << bits
    return table().enum[kind.removeprefix("enum:")].get(value, value) if kind.startswith("enum:") else value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
