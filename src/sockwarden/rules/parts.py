"""A query with `not` pushed down to its leaves: what can be read off without asking what stands around."""

from __future__ import annotations

from typing import Literal

import msgspec

from sockwarden.kql import MATCH_ALL, And, Nested, Node, Not, Or


class Part(msgspec.Struct, eq=False):
    """A part of a query. Of a leaf: the node, a `path:{…}` as a whole, and whether it must hold or must not.

    first: the number of its first leaf, in the order of the text
    """

    kind: Literal["and", "or", "leaf"]
    first: int
    parts: list[Part] = []
    leaf: Node = MATCH_ALL
    positive: bool = True


def part_of(tree: Node) -> Part:
    """The whole query as one part."""
    return _part(tree, 0, positive=True)[0]


def negated(part: Part) -> Part:
    """What holds where the part does not."""
    if part.kind == "leaf":
        return Part("leaf", part.first, leaf=part.leaf, positive=not part.positive)
    return Part("or" if part.kind == "and" else "and", part.first, [negated(one) for one in part.parts])


def leaves_of(part: Part) -> list[Part]:
    """Every leaf, in the order of the text."""
    found: list[Part] = []
    rest = [part]
    while rest:
        one = rest.pop()
        if one.kind == "leaf":
            found.append(one)
        rest.extend(reversed(one.parts))
    return found


def _part(node: Node, first: int, *, positive: bool) -> tuple[Part, int]:
    """The part that begins with leaf number `first`, and the number after its last."""
    match node:
        case Not(child):
            return _part(child, first, positive=not positive)
        case And(children) | Or(children):
            kind: Literal["and", "or"] = "and" if isinstance(node, And) == positive else "or"
            part, number = Part(kind, first), first
            for child in children:
                made, number = _part(child, number, positive=positive)
                part.parts += made.parts if made.kind == kind else [made]
            return part, number
        case Nested(_, child):
            return Part("leaf", first, leaf=node, positive=positive), _part(child, first, positive=True)[1]
        case _:
            return Part("leaf", first, leaf=node, positive=positive), first + 1
