"""Why a document matches a query or does not: of each part of the query whether it holds, of each leaf what was found.

Bounded: of a leaf's values the first MOST_VALUES are told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from sockwarden.document import Document
from sockwarden.kql.clauses import ImpossibleError, clause
from sockwarden.kql.dates import Clock
from sockwarden.kql.evaluate import compile_leaf
from sockwarden.kql.fields import kind_of, objects_at, values_of
from sockwarden.kql.kinds import WORDS
from sockwarden.kql.named import under
from sockwarden.kql.printer import print_query
from sockwarden.kql.tree import NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import ECS, FieldTypes
from sockwarden.kql.words import words_of

MOST_VALUES = 10
"""Values of a leaf's field that are told, and objects of a nested path that are looked into."""
_MOST_COMPARED = 100
"""Values among which the nearest is looked for."""
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one node of a query.

    query     the node, in its normal form
    matched   whether it holds
    operator  and, or, not, nested; of a leaf is, range
    field     of a leaf, as the query names it; empty where it names none
    kind      the field's type, empty where it is not known
    values    of a leaf: what the document holds there, the first MOST_VALUES
    why       of a leaf that does not hold: the reason, in one sentence
    children  of every other node, in order; of `path:{…}` one for each object
    """

    query: str
    matched: bool
    operator: str
    field: str = ""
    kind: str = ""
    values: tuple[object, ...] = ()
    why: str = ""
    children: tuple[Explanation, ...] = ()


def explain(
    node: Node, document: Document, clock: Clock = time.time_ns, types: FieldTypes = ECS, path: str = ""
) -> Explanation:
    """How the document fares with each part of the query; `path` is that of the `path:{…}` around it."""
    match node:
        case And(children) | Or(children):
            parts = tuple(explain(child, document, clock, types, path) for child in children)
            of_parts = [part.matched for part in parts]
            both = isinstance(node, And)
            matched = all(of_parts) if both else any(of_parts)
            return Explanation(print_query(node), matched, "and" if both else "or", children=parts)
        case Not(child):
            part = explain(child, document, clock, types, path)
            return Explanation(print_query(node), not part.matched, "not", children=(part,))
        case Nested(name, child):
            full = str(under(path, name))
            objects = objects_at(name, document)
            parts = tuple(explain(child, one, clock, types, full) for one in objects[:MOST_VALUES])
            why = "" if objects else f"there is no object at `{full}`"
            matched = any(part.matched for part in parts) or any(
                explain(child, one, clock, types, full).matched for one in objects[MOST_VALUES:]
            )
            return Explanation(print_query(node), matched, "nested", full, "nested", why=why, children=parts)
        case _:
            return _leaf(node, document, clock, types, path)


def _leaf(node: Is | Range, document: Document, clock: Clock, types: FieldTypes, path: str) -> Explanation:
    matched = compile_leaf(node, clock, types, path)(document)
    operator = "is" if isinstance(node, Is) else "range"
    query = print_query(node)
    if node.field == NO_FIELD or isinstance(node.field, Wildcard):
        why = "" if matched else "no field holds it" if node.field == NO_FIELD else "no field of such a name holds it"
        return Explanation(query, matched, operator, "" if node.field == NO_FIELD else str(node.field), why=why)
    name = str(under(path, node.field))
    kind = kind_of(name, types)
    values = values_of(str(node.field), document, types, path)
    why = "" if matched else _why(node, name, kind, values)
    return Explanation(query, matched, operator, name, kind or "", tuple(values[:MOST_VALUES]), why)


def _why(node: Is | Range, name: str, kind: str | None, values: list[object]) -> str:
    try:
        clause(name, kind, node, typed=True)
    except ImpossibleError as impossible:
        return f"it can never hold: {impossible}"
    if not values:
        return f"the document has no `{name}`"
    if isinstance(node, Range):
        return "no value lies in the range"
    if isinstance(node.value, Wildcard):
        return "no word fits the pattern" if kind in WORDS else "no value fits the pattern"
    if kind in WORDS:
        found = {word for value in values[:MOST_VALUES] if isinstance(value, str) for word in words_of(value)}
        missing = [word for word in words_of(str(node.value)) if word not in found]
        return f"the words are not there: {', '.join(missing)}" if missing else "the words do not stand so"
    return _nearest(str(node.value), [value for value in values[:_MOST_COMPARED] if isinstance(value, str)])


def _nearest(wanted: str, texts: list[str]) -> str:
    """What a value differs in, where it is almost the one that was asked for."""
    for text in texts:
        if text.casefold() == wanted.casefold():
            return f"a value differs in case only: {text}"
        if text.removesuffix(_DELETED) == wanted:
            return f"a value differs by its end: {text} (the file was deleted or replaced after it was started)"
        if text.strip() == wanted.strip():
            return "a value differs in blanks at its ends only"
        if "*" in wanted:
            return "a quoted `*` is a star, not a wildcard"
        if text.rpartition("/")[2] == wanted:
            return f"a value only ends so: {text}"
    return "no value is it"


def to_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as JSON: its fields, those left out that are empty."""
    fields = {name: getattr(explanation, name) for name in ("query", "matched", "operator", "field", "kind", "why")}
    told: dict[str, object] = {name: value for name, value in fields.items() if value != ""}
    if explanation.values:
        told["values"] = list(explanation.values)
    if explanation.children:
        told["children"] = [to_json(child) for child in explanation.children]
    return told


def explanation_lines(explanation: Explanation, depth: int = 0) -> Iterator[tuple[int, bool, str, str]]:
    """The explanation line by line: depth, whether it holds, what was asked, what was found. Of others' making: to be
    escaped before it reaches a terminal.
    """
    asked, found = explanation.operator, explanation.why
    if not explanation.children:
        asked = explanation.query
        shown = ", ".join(map(str, explanation.values))
        found = f"{shown}: {found}" if shown and found else shown or found
    elif explanation.operator == "nested":
        asked = f"{explanation.field}:{{…}}"
    yield depth, explanation.matched, asked, found
    for child in explanation.children:
        yield from explanation_lines(child, depth + 1)
