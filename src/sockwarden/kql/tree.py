"""The tree of a KQL query: frozen nodes, and their JSON form.

A literal keeps what Kibana keeps: whether it was quoted, where its wildcards are, and unquoted `true`, `false` and
`null` as typed constants. A number is a text until a value is at hand.
"""

from __future__ import annotations

import typing

import msgspec

Operator = typing.Literal["lt", "lte", "gt", "gte"]


class Text(msgspec.Struct, frozen=True):
    """A text, escapes resolved; `quoted` as it was written."""

    value: str
    quoted: bool = False

    def __str__(self) -> str:
        return self.value


class Wildcard(msgspec.Struct, frozen=True):
    """An unquoted text with wildcards: the fixed pieces around each `*`, so that an escaped `*` stays a character.

    `a*b` is ("a", "b"), `*` is ("", "").
    """

    pieces: tuple[str, ...]

    @property
    def is_lone(self) -> bool:
        """`*`, which asks whether there is a value; `**` is a pattern to Kibana."""
        return self.pieces == ("", "")

    def __str__(self) -> str:
        return "*".join(self.pieces)


class Constant(msgspec.Struct, frozen=True):
    """Unquoted `true`, `false` or `null`."""

    value: bool | None

    def __str__(self) -> str:
        return "null" if self.value is None else str(self.value).lower()


Literal = Text | Wildcard | Constant

NO_FIELD = Constant(None)
"""The field of a value that stands alone; `null:v` means the same to Kibana."""


class Is(msgspec.Struct, frozen=True):
    """`field:value`, or a value alone (field is NO_FIELD)."""

    field: Literal
    value: Literal


class Range(msgspec.Struct, frozen=True):
    """`field < value` and its kin."""

    field: Literal
    operator: Operator
    value: Literal


class And(msgspec.Struct, frozen=True):
    """Every child, of which there are at least two."""

    children: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """Any child, of which there are at least two."""

    children: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True):
    """The document does not match the child."""

    child: Node


class Nested(msgspec.Struct, frozen=True):
    """`path:{child}`: one object at the path matches the child, whose fields are relative to the path."""

    path: Literal
    child: Node


Node = Is | Range | And | Or | Not | Nested

MATCH_ALL = Is(Wildcard(("", "")), Wildcard(("", "")))
"""The empty query."""

Json = list["Json"] | dict[str, str | bool | None] | str


def to_json(node: Node) -> Json:
    """The tree as lists: ["is", field, value], ["range", field, operator, value], ["and"|"or"|"not", …],
    ["nested", path, child]; a literal is {"v": unquoted}, {"q": quoted} or {"w": with wildcards}.

    In {"w": …} an escaped `*` looks like a wildcard; the tree itself tells them apart.
    """
    match node:
        case Is(field, value):
            return ["is", _literal(field), _literal(value)]
        case Range(field, operator, value):
            return ["range", _literal(field), operator, _literal(value)]
        case And(children):
            return ["and", *map(to_json, children)]
        case Or(children):
            return ["or", *map(to_json, children)]
        case Not(child):
            return ["not", to_json(child)]
        case Nested(path, child):
            return ["nested", _literal(path), to_json(child)]


def _literal(literal: Literal) -> Json:
    match literal:
        case Text(value, quoted):
            return {"q" if quoted else "v": value}
        case Wildcard():
            return {"w": str(literal)}
        case Constant(constant):
            return {"v": constant}
