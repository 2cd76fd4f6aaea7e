"""How a query's field reaches into a document: by name, by a pattern of names, or anywhere.

Arrays are entered at every level, as Elasticsearch does. Walks keep their own stack, so that no document is too deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockwarden.document import METADATA, Document
from sockwarden.kql.tree import NO_FIELD, Literal, Wildcard
from sockwarden.kql.values import ValueTest, glob

Predicate = Callable[[Document], bool]


def any_value(field: Literal, test: ValueTest, ip_test: ValueTest) -> Predicate:
    """True of a document in which some value of the field passes; `ip_test` is for fields that hold IP addresses."""
    if field == NO_FIELD or isinstance(field, Wildcard):
        fits = glob(field.pieces) if isinstance(field, Wildcard) else glob(("", ""))
        return lambda document: any(
            (ip_test if holds_ip(name) else test)(value) for name, value in _walk(document) if fits(name)
        )
    return _named(str(field).split("."), ip_test if holds_ip(str(field)) else test)


def exists(field: Literal) -> Predicate:
    """True of a document in which the field has a value: not null, not an empty array or object."""
    if field == NO_FIELD or isinstance(field, Wildcard):
        return any_value(field, _anything, _anything)
    parts = str(field).split(".")
    return lambda document: any(
        not isinstance(value, dict) or any(True for _ in _walk(value)) for value in _reach(document, parts)
    )


def any_object(path: Literal, predicate: Predicate) -> Predicate:
    """True of a document with an object at the path, alone or in an array, of which the predicate is true."""
    parts = str(path).split(".")
    return lambda document: any(isinstance(value, dict) and predicate(value) for value in _reach(document, parts))


def holds_ip(field: str) -> bool:
    """Whether ECS 9 types the field `ip`: those are named `ip` or end in `_ip` (dns.resolved_ip)."""
    return field.rpartition(".")[2] == "ip" or field.endswith("_ip")


def _named(parts: list[str], test: ValueTest) -> Predicate:
    def matches(document: Document) -> bool:
        value: object = document
        for part in parts:
            if not isinstance(value, dict):
                break
            value = value.get(part)
        else:
            if not isinstance(value, (list, dict)):
                return value is not None and test(value)
        if value is None:
            return False
        return any(test(value) for value in _reach(document, parts) if not isinstance(value, dict))

    return matches


def _anything(value: object) -> bool:  # noqa: ARG001 - a test takes the value, whatever it is
    return True


def _reach(document: Document, parts: list[str]) -> Iterator[object]:
    """The values and objects at a field; nulls are left out."""
    stack: list[tuple[object, int]] = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, list):
            stack.extend((element, depth) for element in value)
        elif depth == len(parts):
            if value is not None:
                yield value
        elif isinstance(value, dict):
            stack.append((value.get(parts[depth]), depth + 1))


def _walk(document: Document) -> Iterator[tuple[str, object]]:
    """Every value with its dotted name; Elasticsearch's metadata is reached by name only."""
    stack: list[tuple[str, object]] = [(key, value) for key, value in document.items() if key not in METADATA]
    while stack:
        name, value = stack.pop()
        if isinstance(value, list):
            stack.extend((name, element) for element in value)
        elif isinstance(value, dict):
            stack.extend((f"{name}.{key}", child) for key, child in value.items())
        elif value is not None:
            yield name, value
