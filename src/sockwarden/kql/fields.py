"""How a query's field reaches into a document: by name, by a pattern of names, or anywhere.

Arrays are entered at every level, as Elasticsearch does. Walks keep their own stack, so that no document is too deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from sockwarden.document import METADATA, Document
from sockwarden.kql.named import NESTED, nested_path
from sockwarden.kql.tree import NO_FIELD, Literal, Wildcard
from sockwarden.kql.types import FieldTypes, multi_fields_of, parent_of
from sockwarden.kql.values import ValueTest, glob, never

Predicate = Callable[[Document], bool]
TestOf = Callable[[str | None], ValueTest]
"""The test for a field of a type."""

_MOST_NAMES = 4096
_MOST_NAME = 512
"""Field names whose tests are kept, and the longest; documents may bring any number of new ones, of any length."""


def any_value(field: Literal, test_of: TestOf, types: FieldTypes, path: str) -> Predicate:
    """True of a document in which some value of the field passes. `path` is that of the `path:{…}` around it, and the
    document then the object there.
    """
    if field == NO_FIELD or isinstance(field, Wildcard):
        return _anywhere(field, test_of, types, path, hidden=field == NO_FIELD)
    name = _full(path, str(field))
    if is_hidden(name, types, path):
        return lambda _: False
    parts = _parts(name, types, path)
    kind = kind_of(name, types)
    if kind == "flattened":
        return _flattened(parts, test_of(kind))
    return _named(parts, test_of(kind))


def exists(field: Literal, test_of: TestOf, types: FieldTypes, path: str) -> Predicate:
    """True of a document in which the field has a value: not null, not an empty array or object."""
    if field == NO_FIELD or isinstance(field, Wildcard):
        return any_value(field, test_of, types, path)
    kind = kind_of(_full(path, str(field)), types)
    if kind not in (None, "object", "flattened", "geo_point"):
        return any_value(field, test_of, types, path)
    below = _anywhere(Wildcard((f"{field}.", "")), test_of, types, path, hidden=True)
    itself = any_value(field, test_of, types, path)
    return lambda document: itself(document) or below(document)


def values_at(field: str, document: Document, types: FieldTypes, path: str) -> list[object]:
    """What a document holds in a named field, in order: values and objects, also such as a query does not see."""
    return list(_reach(document, _parts(_full(path, field), types, path)))[::-1]


def leaves_of(value: object) -> list[object]:
    """The value itself, of an object those that it is made of."""
    return [leaf for _, leaf in _walk(value, "")][::-1] if isinstance(value, dict) else [value]


def is_hidden(name: str, types: FieldTypes, path: str) -> bool:
    """Whether a field lies in a nested object, an index's own document, that only a query of its path sees into."""
    return nested_path(name, types) != (path if types.type_of(path) == NESTED else "")


def objects_at(path: Literal, document: Document) -> list[Document]:
    """The objects at a path, alone or in an array."""
    return [value for value in _reach(document, str(path).split(".")) if isinstance(value, dict)]


def found_anywhere(
    field: Literal, test_of: TestOf, types: FieldTypes, path: str, document: Document
) -> Iterator[tuple[str, object]]:
    """Of a pattern of names, or of no field: each field and value that passes."""
    tests = _tests_by_name(field, test_of, types, path, hidden=field == NO_FIELD)
    for name, value in _walk(document, path):
        yield from ((one, value) for one, test in tests(name) if test(value))


def any_object(path: Literal, predicate: Predicate) -> Predicate:
    """True of a document with an object at the path, alone or in an array, of which the predicate is true."""
    return lambda document: any(map(predicate, objects_at(path, document)))


def kind_of(name: str, types: FieldTypes) -> str | None:
    """The type of a field, also of one below a flattened object; None where it is not known."""
    return types.type_of(name) or ("keyword" if _flattened_above(name, types) else None)


def _flattened_above(name: str, types: FieldTypes) -> str:
    """The flattened object that a field lies in, empty where there is none."""
    above = name.rpartition(".")[0]
    while above and types.type_of(above) != "flattened":
        above = above.rpartition(".")[0]
    return above


def _parts(name: str, types: FieldTypes, path: str) -> list[str]:
    """The way to a field's values, from the object at the path."""
    return (parent_of(name, types) or name).split(".")[path.count(".") + 1 if path else 0 :]


def _full(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _anywhere(field: Literal, test_of: TestOf, types: FieldTypes, path: str, *, hidden: bool) -> Predicate:
    tests = _tests_by_name(field, test_of, types, path, hidden=hidden)
    begins = _full(path, field.pieces[0]) if isinstance(field, Wildcard) else ""

    def matches(document: Document) -> bool:
        return any(test(value) for name, value in _walk(document, path, begins) for _, test in tests(name))

    return matches


def _tests_by_name(
    field: Literal, test_of: TestOf, types: FieldTypes, path: str, *, hidden: bool
) -> Callable[[str], tuple[tuple[str, ValueTest], ...]]:
    """The tests of a value by its field's name; `hidden` where nested objects are not seen."""
    pattern = field.pieces if isinstance(field, Wildcard) else ("", "")
    fits = glob((f"{path}.{pattern[0]}", *pattern[1:]) if path else pattern)

    @lru_cache(maxsize=_MOST_NAMES)
    def tests(name: str) -> tuple[tuple[str, ValueTest], ...]:
        """Those of the field itself and of its multi-fields, as far as their names fit."""
        if hidden and not path and nested_path(name, types):
            return ()
        every = (name, *multi_fields_of(name, types), _flattened_above(name, types))
        names = [one for one in every if one and fits(one)]
        found = ((one, test_of(kind_of(one, types))) for one in names)
        return tuple((one, test) for one, test in found if test is not never)

    return lambda name: (tests if len(name) <= _MOST_NAME else tests.__wrapped__)(name)


def _named(parts: list[str], test: ValueTest) -> Predicate:
    if test is never or not parts:
        return lambda _: False  # without parts it is the object itself that is asked, which is no value

    def anywhere(document: Document) -> bool:
        """Through arrays, and of what is no text."""
        return any(test(value) for value in _reach(document, parts) if not isinstance(value, dict))

    above, last = parts[:-1], parts[-1]

    def matches(document: Document) -> bool:
        value: object = document
        for part in above:
            if type(value) is not dict:
                return value is not None and anywhere(document)
            value = value.get(part)
        if type(value) is dict:
            value = value.get(last)
            if type(value) is str:
                return test(value)
            if type(value) is list and (found := _among(value, test)) is not None:
                return found
        return value is not None and anywhere(document)

    return matches


def _among(values: list[object], test: ValueTest) -> bool | None:
    """Whether one of some texts passes; None where one is no text."""
    for value in values:
        if type(value) is not str:
            return None
        if test(value):
            return True
    return False


def _flattened(parts: list[str], test: ValueTest) -> Predicate:
    """Every leaf of a flattened object counts as a value of it."""
    return lambda document: any(
        any(test(leaf) for _, leaf in _walk(value, "")) if isinstance(value, dict) else test(value)
        for value in _reach(document, parts)
    )


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


def _walk(document: Document, path: str, begins: str = "") -> Iterator[tuple[str, object]]:
    """Every value with its dotted name, below a path; Elasticsearch's metadata is reached by name only. `begins`: what
    the names of interest begin with, a multi-field's perhaps beyond its field's name; others may be left out.
    """
    # Names are made one at a time: below a long key, those of all its children would fill the memory.
    stack: list[Iterator[tuple[str, object]]] = [
        ((_full(path, key), value) for key, value in document.items() if key not in METADATA)
    ]
    while stack:
        for name, value in stack[-1]:
            if begins and not name.startswith(begins) and not begins.startswith(f"{name}."):
                continue
            if isinstance(value, list | dict):
                stack.append(_inside(name, value))
                break
            if value is not None:
                yield name, value
        else:
            stack.pop()


def _inside(name: str, value: list[object] | Document) -> Iterator[tuple[str, object]]:
    if isinstance(value, list):
        yield from ((name, element) for element in value)
    else:
        yield from ((f"{name}.{key}", child) for key, child in value.items())
