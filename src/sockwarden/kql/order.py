"""In which order the parts of an `and` or an `or` are judged. No part asks for more than the document and the time, so
the answer is the same in any; what it costs is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from sockwarden.kql.tree import NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard

_OF_FEW_VALUES = frozenset(
    {
        "host.os.type",
        "event.kind",
        "event.category",
        "event.type",
        "event.outcome",
        "event.module",
        "event.dataset",
        "network.direction",
    }
)
"""Fields in which many documents are alike."""
_WALK = 100.0
"""What a pattern of names, or no name, costs in look-ups of one field: it goes through the whole document."""


class Estimate(NamedTuple):
    """What judging a node costs, in look-ups of one field, and how often it holds, 0 to 1."""

    cost: float
    chance: float


def most_telling_first(children: Iterable[Node]) -> list[Node]:
    """The parts of an `and`: first what is cheap and seldom holds."""
    return sorted(children, key=_by_failing)


def cheapest_first(children: Iterable[Node]) -> list[Node]:
    """The parts of an `or`: first what is cheap and often holds."""
    return sorted(children, key=lambda node: _per(estimate(node).cost, estimate(node).chance))


def _by_failing(node: Node) -> float:
    cost, chance = estimate(node)
    return _per(cost, 1 - chance)


def _per(cost: float, chance: float) -> float:
    return cost / max(chance, 1e-9)


def estimate(node: Node) -> Estimate:
    """A guess by the query alone."""
    match node:
        case Is() | Range():
            return Estimate(1.0 if names_a_field(node) else _WALK, _chance(node))
        case And(children):
            parts = [estimate(child) for child in children]
            return Estimate(sum(part.cost for part in parts), prod(part.chance for part in parts))
        case Or(children):
            parts = [estimate(child) for child in children]
            fields = {child.field for child in children if isinstance(child, Is) and names_a_field(child)}
            others = [part.cost for child, part in zip(children, parts, strict=True) if not isinstance(child, Is)]
            return Estimate(len(fields) + sum(others), 1 - prod(1 - part.chance for part in parts))
        case Not(child):
            cost, chance = estimate(child)
            return Estimate(cost, 1 - chance)
        case Nested(_, child):
            cost, chance = estimate(child)
            return Estimate(cost + 1, chance)


def names_a_field(node: Is | Range) -> bool:
    """Whether a leaf asks for one field by its name."""
    return node.field != NO_FIELD and not isinstance(node.field, Wildcard)


def _chance(node: Is | Range) -> float:
    if isinstance(node, Range):
        return 0.5
    if isinstance(node.value, Wildcard):
        return 0.9 if node.value.is_lone else 0.1
    return 0.5 if str(node.field) in _OF_FEW_VALUES else 0.05
