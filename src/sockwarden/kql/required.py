"""What any match of a query must contain."""

from __future__ import annotations

import re

from sockwarden.kql.fields import kind_of
from sockwarden.kql.kinds import EXACT
from sockwarden.kql.named import under
from sockwarden.kql.tree import NO_FIELD, And, Is, Literal, Nested, Node, Or, Text, Wildcard
from sockwarden.kql.types import ECS, FieldTypes, parent_of
from sockwarden.kql.values import is_untyped, is_whole
from sockwarden.literals import Alternative, Clause, Requirement

_OF_NUMBER = re.compile(r"[-+.0-9aeflnrstui]*+")
"""What may be a part of a number or a boolean, which a keyword holds as a text and JSON as itself."""


def required_literals(node: Node, types: FieldTypes = ECS) -> tuple[Clause, ...]:
    """The requirements as texts that a value contains, whole or not."""
    clauses = (frozenset((field, text) for field, text, _ in asked) for asked in requirements(node, types))
    return tuple(dict.fromkeys(clauses))


def requirements(node: Node, types: FieldTypes = ECS) -> tuple[Requirement, ...]:
    """What every matching document satisfies, all of it; empty where nothing usable is required.

    A text that a number, a boolean or an address may equal in another spelling, and one that is compared word by word,
    yields only that the field exists; an object with a value in it counts as existing. `not`, ranges, values without a
    field and patterns of field names yield nothing.
    """
    return _required(node, types, "")


def _required(node: Node, types: FieldTypes, path: str) -> tuple[Requirement, ...]:
    match node:
        case Is(field, value) if field != NO_FIELD and not isinstance(field, Wildcard):
            name = str(under(path, field))
            kind = kind_of(name, types)
            text = _text(kind, value)
            return (
                frozenset({Alternative(parent_of(name, types) or name, text, bool(text) and is_whole(value, kind))}),
            )
        case And(children):
            return tuple(dict.fromkeys(asked for child in children for asked in _required(child, types, path)))
        case Or(children):
            return _either([_required(child, types, path) for child in children])
        case Nested(name, child):
            return _required(child, types, str(under(path, name)))
        case _:
            return ()


def _text(kind: str | None, value: Literal) -> str:
    """What the text of every matching value contains."""
    if kind is not None and kind not in EXACT:
        return ""
    match value:
        case Wildcard(pieces):
            return max((piece for piece in pieces if not _OF_NUMBER.fullmatch(piece)), key=len, default="")
        case Text(text) if is_untyped(text):
            return text
        case _:
            return ""


def _either(branches: list[tuple[Requirement, ...]]) -> tuple[Requirement, ...]:
    """Requirements over fields that all branches share, joined; where none are shared, the best of each branch."""
    if not all(branches):
        return ()
    by_fields = [_best_by_fields(asked) for asked in branches]
    shared = set(by_fields[0]).intersection(*by_fields[1:])
    if shared:
        return tuple(
            frozenset().union(*(best[fields] for best in by_fields)) for fields in by_fields[0] if fields in shared
        )
    return (frozenset().union(*(max(asked, key=shortest_text) for asked in branches)),)


def _best_by_fields(required: tuple[Requirement, ...]) -> dict[frozenset[str], Requirement]:
    best: dict[frozenset[str], Requirement] = {}
    for asked in required:
        fields = frozenset(one.field for one in asked)
        if fields not in best or shortest_text(asked) > shortest_text(best[fields]):
            best[fields] = asked
    return best


def shortest_text(asked: Requirement) -> int:
    """How much a requirement tells, by the alternative that tells least."""
    return min(len(one.text) for one in asked)
