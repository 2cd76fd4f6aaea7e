"""What indices carry, by the families of those who write them; from the package's data."""

from __future__ import annotations

import tomllib
from functools import cache, cached_property

import msgspec

from sockwarden.content import packaged
from sockwarden.kql import ECS


class Family(msgspec.Struct, frozen=True):
    """The indices of one shipper. A pattern is a name, or holds `*` at its end."""

    indices: tuple[str, ...]
    fields: tuple[str, ...] = ()
    never: dict[str, str] = {}

    def covers(self, index: str) -> bool:
        """Whether every index that a rule's pattern can name is one of the family's."""
        name = index.rpartition(":")[2]
        return any(_fits(pattern, name) for pattern in self.indices)

    def never_why(self, field: str) -> str | None:
        """Why no document of the family has the field; None where one may."""
        return next((why for pattern, why in self.never.items() if _fits(pattern, field)), None)

    def knows(self, field: str) -> bool:
        """Whether the field is one of the family's own, beyond ECS."""
        return any(_fits(pattern, field) for pattern in self.fields)


class OneValue(msgspec.Struct, frozen=True):
    """Fields of which a document has one value."""

    fields: frozenset[str]


class Families(msgspec.Struct, frozen=True, dict=True):
    """family: every one that is known; values: what ECS lets a field hold, for some fields."""

    family: tuple[Family, ...]
    values: dict[str, tuple[str, ...]]
    one_value: OneValue

    def of(self, index: str) -> Family | None:
        """The family that covers a rule's index pattern."""
        return next((family for family in self.family if family.covers(index)), None)

    @cached_property
    def ecs(self) -> frozenset[str]:
        """Every field that ECS names, and the objects that they are in."""
        names = set(ECS.names())
        for name in tuple(names):
            while "." in name:
                name = name.rpartition(".")[0]
                names.add(name)
        return frozenset(names)


@cache
def families() -> Families:
    """The data that is packaged."""
    return msgspec.convert(tomllib.loads(packaged("index_families.toml").read_text("utf-8")), Families)


def _fits(pattern: str, name: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern
