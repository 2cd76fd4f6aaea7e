"""Why a document matches a query or does not: of each part of the query whether it holds, of each leaf what was found.

Bounded: of a leaf's values MOST_VALUES are told, those that match before others, of a text MOST_CHARACTERS; of a
`path:{…}` as many objects are looked into, those that match first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import msgspec

from sockwarden.document import Document
from sockwarden.kql.dates import Clock
from sockwarden.kql.evaluate import compile_at, compile_leaf, is_exists, tests_of
from sockwarden.kql.fields import found_anywhere, is_hidden, kind_of, leaves_of, objects_at, values_at
from sockwarden.kql.named import under
from sockwarden.kql.nearest import why_not
from sockwarden.kql.printer import print_query
from sockwarden.kql.tree import NO_FIELD, And, Is, Nested, Node, Not, Or, Range, Wildcard
from sockwarden.kql.types import ECS, FieldTypes

MOST_VALUES = 10
MOST_CHARACTERS = 300
MOST_LINES = 100
"""Parts of one `and` or `or` that `explanation_lines` shows."""


class Explanation(msgspec.Struct, frozen=True):
    """Of one node of a query.

    query     the node, in its normal form
    matched   whether it holds
    operator  and, or, not, nested; of a leaf is, range
    field     of a leaf, as the query names it; empty where it names none
    kind      the field's type, empty where it is not known
    values    of a leaf: what the document holds there, what matches first
    matching  how many of `values` match
    found_in  of a pattern of names, or of no field: the field of each of `values`, all of which match
    more      values, or objects, that are not told
    why       of what does not hold: the reason, in one sentence
    children  of every other node, in order; of `path:{…}` one for each object
    """

    query: str
    matched: bool
    operator: str
    field: str = ""
    kind: str = ""
    values: tuple[object, ...] = ()
    matching: int = 0
    found_in: tuple[str, ...] = ()
    more: int = 0
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
        case Nested():
            return _nested(node, document, clock, types, path)
        case _:
            return _leaf(node, document, clock, types, path)


def _nested(node: Nested, document: Document, clock: Clock, types: FieldTypes, path: str) -> Explanation:
    full = str(under(path, node.path))
    holds = compile_at(full, node.child, clock, types)
    objects = objects_at(node.path, document)[::-1]
    matching = [one for one in objects if holds(one)]
    shown = (matching or objects)[:MOST_VALUES]
    why = ""
    if not matching:
        why = f"none of {len(objects)} objects alone holds it" if objects else f"there is no object at `{full}`"
    return Explanation(
        print_query(node),
        bool(matching),
        "nested",
        full,
        types.type_of(full) or "",
        more=len(objects) - len(shown),
        why=why,
        children=tuple(explain(node.child, one, clock, types, full) for one in shown),
    )


def _leaf(node: Is | Range, document: Document, clock: Clock, types: FieldTypes, path: str) -> Explanation:
    matched = compile_leaf(node, clock, types, path)(document)
    operator = "is" if isinstance(node, Is) else "range"
    query = print_query(node)
    test_of = tests_of(node, clock)
    if node.field == NO_FIELD or isinstance(node.field, Wildcard):
        found = list(islice(found_anywhere(node.field, test_of, types, path, document), MOST_VALUES)) if matched else []
        why = "" if matched else "no field holds it" if node.field == NO_FIELD else "no field of such a name holds it"
        return Explanation(
            query,
            matched,
            operator,
            "" if node.field == NO_FIELD else str(node.field),
            values=tuple(_cut(value) for _, value in found),
            matching=len(found),
            found_in=tuple(_cut_text(name) for name, _ in found),
            why=why,
        )
    name = str(under(path, node.field))
    kind = kind_of(name, types)
    held = values_at(str(node.field), document, types, path)
    leaves = [leaf for value in held for leaf in leaves_of(value)]
    own = leaves if is_exists(node) or kind == "flattened" else [value for value in held if not isinstance(value, dict)]
    test = test_of(kind)
    matching = [value for value in own if test(value)] if matched else []
    others = leaves if not matching else [value for value in own if not test(value)]
    values = [*matching, *others][:MOST_VALUES]
    return Explanation(
        query,
        matched,
        operator,
        name,
        kind or "",
        tuple(map(_cut, values)),
        min(len(matching), MOST_VALUES),
        more=len(matching) + len(others) - len(values),
        why="" if matched else _cut_text(why_not(node, name, kind, own, held, hidden=is_hidden(name, types, path))),
    )


def _cut(value: object) -> object:
    return _cut_text(value) if isinstance(value, str) else value


def _cut_text(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def to_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as JSON: its fields, those left out that are empty."""
    told: dict[str, object] = {"query": explanation.query, "matched": explanation.matched}
    for name in ("operator", "field", "kind", "values", "matching", "found_in", "more", "why"):
        if value := getattr(explanation, name):
            told[name] = list(value) if isinstance(value, tuple) else value
    if explanation.children:
        told["children"] = [to_json(child) for child in explanation.children]
    return told


def explanation_lines(explanation: Explanation, depth: int = 0) -> Iterator[tuple[int, bool, str, str]]:
    """The explanation line by line: depth, whether it holds, what was asked, what was found. Of others' making: to be
    escaped before it reaches a terminal.
    """
    asked, children = explanation.operator, explanation.children
    if not children:
        asked = explanation.query
    elif explanation.operator == "nested":
        asked = f"{explanation.field}:{{…}}"
    yield depth, explanation.matched, asked, _found(explanation)
    for child in children[:MOST_LINES]:
        yield from explanation_lines(child, depth + 1)
    if left := children[MOST_LINES:]:
        holding = sum(child.matched for child in left)
        yield depth + 1, holding > 0, "…", f"{len(left)} more, of which {holding} hold"


def _found(explanation: Explanation) -> str:
    # What matches is enough where something does.
    values = explanation.values[: explanation.matching] or explanation.values
    shown = [str(value) for value in values]
    if explanation.found_in:
        shown = [f"{name} {text}" for name, text in zip(explanation.found_in, shown, strict=True)]
    if explanation.more and not explanation.matching and not explanation.children:
        shown.append(f"… {explanation.more} more")
    return ": ".join(filter(None, (", ".join(shown), explanation.why)))
