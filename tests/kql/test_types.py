"""The table of ECS's types, and that ours does not contradict it."""

from __future__ import annotations

import msgspec
import pytest

from sockwarden.content import packaged
from sockwarden.kql import ECS
from sockwarden.kql.types import parent_of


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("@timestamp", "date"),
        ("process.executable", "keyword"),
        ("process.executable.text", "match_only_text"),
        ("process.command_line", "wildcard"),
        ("process.pid", "long"),
        ("destination.ip", "ip"),
        ("destination.address", "keyword"),
        ("message", "match_only_text"),
        ("process.elf.sections", "nested"),
        ("process.parent", None),
        ("sockwarden.socket.canonical", "keyword"),
        ("kibana.alert.original_time", "date"),
        ("kibana.alert.reason.text", "match_only_text"),
        ("auditd.paths.name", "keyword"),
        ("auditd.data.socket.port", "long"),
        ("no.such.field", None),
    ],
)
def test_type(field: str, kind: str | None) -> None:
    assert ECS.type_of(field) == kind


def test_multi_fields_know_their_parent() -> None:
    assert parent_of("process.name.text", ECS) == "process.name"
    assert parent_of("process.name", ECS) is None
    assert parent_of("process.elf.sections.name", ECS) is None


def test_no_field_has_two_types() -> None:
    tables: list[dict[str, list[str]]] = [
        msgspec.json.decode(packaged(file).read_bytes()) for file in ("ecs_fields.json", "own_fields.json")
    ]
    names = [name for table in tables for names in table.values() for name in names]
    assert len(names) == len(set(names)) == len(set(ECS.names()))
