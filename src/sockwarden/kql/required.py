"""The literals that any match of a query must contain."""

from __future__ import annotations

from sockwarden.kql.fields import holds_ip
from sockwarden.kql.tree import NO_FIELD, And, Is, Literal, Nested, Node, Or, Text, Wildcard
from sockwarden.kql.values import is_untyped, parse_network
from sockwarden.literals import Clause


def required_literals(node: Node) -> tuple[Clause, ...]:
    """Clauses that every matching document satisfies, all of them; empty where nothing usable is required.

    A text that a number, a boolean or an address may equal in another spelling yields only that the field exists;
    an object with a value in it counts as existing. `not`, ranges, values without a field and patterns of field
    names yield nothing.
    """
    match node:
        case Is(field, value) if field != NO_FIELD and not isinstance(field, Wildcard):
            return (frozenset({(str(field), _text(str(field), value))}),)
        case And(children):
            return tuple(dict.fromkeys(clause for child in children for clause in required_literals(child)))
        case Or(children):
            return _either([required_literals(child) for child in children])
        case Nested(path, child):
            return tuple(
                frozenset((f"{path}.{field}", text) for field, text in clause) for clause in required_literals(child)
            )
        case _:
            return ()


def _text(field: str, value: Literal) -> str:
    match value:
        case Wildcard(pieces):
            return max(pieces, key=len)
        case Text(text) if is_untyped(text) and not (holds_ip(field) and parse_network(text)):
            return text
        case _:
            return ""


def _either(branches: list[tuple[Clause, ...]]) -> tuple[Clause, ...]:
    """Clauses over fields that all branches share, joined; where none are shared, the best clause of each branch."""
    if not all(branches):
        return ()
    by_fields = [_best_by_fields(clauses) for clauses in branches]
    shared = set(by_fields[0]).intersection(*by_fields[1:])
    if shared:
        return tuple(
            frozenset().union(*(best[fields] for best in by_fields)) for fields in by_fields[0] if fields in shared
        )
    return (frozenset().union(*(max(clauses, key=_shortest_text) for clauses in branches)),)


def _best_by_fields(clauses: tuple[Clause, ...]) -> dict[frozenset[str], Clause]:
    best: dict[frozenset[str], Clause] = {}
    for clause in clauses:
        fields = frozenset(field for field, _ in clause)
        if fields not in best or _shortest_text(clause) > _shortest_text(best[fields]):
            best[fields] = clause
    return best


def _shortest_text(clause: Clause) -> int:
    return min(len(text) for _, text in clause)
