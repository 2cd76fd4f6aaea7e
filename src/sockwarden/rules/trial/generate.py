"""Documents made from a query: for each alternative one that must match, and near misses that must not.

The verdict comes from how a document was made. In the query with `not` pushed down to its leaves, each alternative of
each `or` is taken once, the others made not to hold where they can be: that must match. The same over the opposite of
the query gives what must not match: each condition of an `and` broken once, the others kept; each value of a `not` met.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from sockwarden.document import Document, encode
from sockwarden.kql import Is, Nested, Node, Range
from sockwarden.kql.printer import print_query
from sockwarden.rules.parts import Part, negated, part_of
from sockwarden.rules.trial.build import Draft, SpentError, Work, draft_of, trail
from sockwarden.rules.trial.values import Value, fits, holding, missing_by_little

MOST_DOCUMENTS = 1000
"""Documents that are made of one query."""
_MOST_SIBLINGS = 50  # alternatives beside the one in question that are made not to hold


@dataclass(frozen=True, slots=True)
class Generated:
    """A document, whether the query must match it, and what it tries."""

    name: str
    match: bool
    document: Document


@dataclass(slots=True)
class Generation:
    """What was made; `impossible`: what no document could be made for; `cut`: whether there would have been more."""

    documents: list[Generated] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    cut: bool = False


def generate(tree: Node) -> Generation:
    """Documents for each alternative and each condition of a query."""
    made = Generation()
    seen: set[tuple[bool, bytes]] = set()
    whole = part_of(tree)
    for match, part in ((True, whole), (False, negated(whole))):
        for one in _documents(part, match, made):
            key = (match, encode(one.document))
            if key in seen:
                continue
            if len(made.documents) == MOST_DOCUMENTS // (2 if match else 1):
                made.cut = True
                break
            seen.add(key)
            made.documents.append(one)
    return made


def _documents(part: Part, match: bool, made: Generation) -> Iterator[Generated]:
    """Ends early, and says so, where the work for one query is done."""
    try:
        yield from _of_scenarios(part, match, made.impossible, Work())
    except SpentError:
        made.cut = True


def _of_scenarios(part: Part, match: bool, impossible: list[str], work: Work) -> Iterator[Generated]:
    tried: dict[tuple[tuple[int, int], ...], list[Part] | None] = {}
    for focus, beside, leaf in _scenarios(part, {}, []):
        key = tuple(focus.items())
        if key not in tried:
            tried[key] = _trail(part, focus, beside, work)
            if tried[key] is None and len(impossible) < MOST_DOCUMENTS:
                impossible.append(f"{'a match' if match else 'a miss'} by {words(leaf)}")
        leaves = tried[key]
        draft = draft_of(leaves, work) if leaves is not None else None
        document = draft.document() if draft else None
        if draft is None or document is None:
            continue
        yield Generated(words(leaf), match, document)
        yield from _variants(leaf, match, draft)


def _trail(part: Part, focus: dict[int, int], beside: list[Part], work: Work) -> list[Part] | None:
    """The leaves of the scenario, and of the opposite of what stands beside where that can be had too."""
    leaves = trail([part], focus, work)
    for one in beside[:_MOST_SIBLINGS] if leaves is not None else ():
        leaves = trail([negated(one)], {}, work, base=leaves) or leaves
    return leaves


def _scenarios(
    part: Part, focus: dict[int, int], beside: list[Part]
) -> Iterator[tuple[dict[int, int], list[Part], Part]]:
    """Each leaf, the alternatives to take to come to it, and those that stand beside them."""
    if part.kind == "leaf":
        yield focus, beside, part
    elif part.kind == "and":
        for one in part.parts:
            yield from _scenarios(one, focus, beside)
    else:
        for index, one in enumerate(part.parts):
            first, last = max(0, index - _MOST_SIBLINGS // 2), index + _MOST_SIBLINGS // 2
            siblings = [*part.parts[first:index], *part.parts[index + 1 : last]]
            yield from _scenarios(one, {**focus, id(part): index}, [*beside, *siblings])


def _variants(part: Part, match: bool, draft: Draft) -> Iterator[Generated]:
    """The same document with other values for the leaf in question."""
    leaf = part.leaf
    if not isinstance(leaf, Is | Range):
        return
    name, kind = draft.place(leaf)
    of = draft.fields[name]
    if part.positive:
        others = [
            value
            for value in ("beside it", 7, "192.0.2.77")
            if of.allows(value, draft.work) and _same_kind(value, of.values)
        ]
        if others:
            yield from _with(draft, name, [*others[:1], *of.values], f"{words(part)}, one of several values", match)
        for value in holding(leaf, kind):
            if of.allows(value, draft.work) and all(fits(one, its_kind, value) for one, its_kind in of.wanted):
                yield from _with(draft, name, [value], f"{words(part)}, another value", match)
        return
    if of.absent:
        return
    for change, value in missing_by_little(leaf, kind):
        if fits(leaf, kind, value) is False and of.allows(value, draft.work):
            kept = [] if all(fits(one, its_kind, value) for one, its_kind in of.wanted) else of.values
            yield from _with(draft, name, [*kept, value], f"{words(part)}: {change}", match)


def _with(draft: Draft, name: str, values: list[Value], about: str, match: bool) -> Iterator[Generated]:
    of = draft.fields[name]
    before, of.values = of.values, values
    document = draft.document()
    of.values = before
    if document is not None:
        yield Generated(about, match, msgspec.json.decode(encode(document)))


def _same_kind(value: Value, others: list[Value]) -> bool:
    return all(type(value) is type(other) and _looks(value) == _looks(other) for other in others)


def _looks(value: Value) -> Literal["address", "date", "text"]:
    text = str(value)
    if text[:1].isdigit() and (text.count(".") == 3 or ":" in text):
        return "date" if "T" in text else "address"
    return "text"


def words(part: Part) -> str:
    """The leaf as a query, with `not` where it must not hold."""
    shown = print_query(part.leaf) if isinstance(part.leaf, Is | Range | Nested) else ""
    return shown if part.positive else f"not {shown}"
