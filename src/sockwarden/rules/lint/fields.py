"""The fields that a rule reads: whether its indices carry them, and whether they can hold what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from sockwarden.kql import ECS, Constant, Text, Wildcard
from sockwarden.kql.dates import parse_bound
from sockwarden.kql.kinds import DATES, EXACT, NUMBERS, WORDS
from sockwarden.kql.places import Place
from sockwarden.kql.scalars import parse_address, parse_network, parse_number
from sockwarden.rules.lint.families import families
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.schema import shorten

CODES: dict[str, tuple[Severity, str]] = {
    "field-never-carried": ("error", "One of the rule's indices never carries the field."),
    "field-unknown": ("warning", "Neither ECS nor the shippers of the rule's indices name the field."),
    "field-type": ("error", "The field's type cannot hold, or be compared with, the value."),
    "field-value": ("warning", "ECS does not list the value for that field."),
}

_MOST_GUESSES = 500  # fields of one rule that are held against every name of ECS
_WHOLE = NUMBERS | DATES | {"ip", "boolean"}


def check(file: RuleFile) -> Iterator[Found]:
    """Each field once, at its first place; each value."""
    seen: set[str] = set()
    for field, offset in file.fields():
        if field not in seen:
            seen.add(field)
            yield from _carried(file, field, offset, guess=len(seen) <= _MOST_GUESSES)
    for leaf in file.leaves:
        if leaf.name:
            yield from _typed(file, leaf)
    for index, entry in enumerate(file.table.get("risk_score_mapping", ())):
        kind = ECS.type_of(entry["field"])
        if kind is not None and kind not in NUMBERS and not entry.get("value"):
            message = f"`{entry['field']}` is of type {kind}, and a risk score is a number"
            place = file.at("rule", "risk_score_mapping", index, "field")
            yield Found("field-type", place, message, "Name a field that holds a number.")
    override = file.table.get("timestamp_override")
    if override and ECS.type_of(override) not in (None, *DATES):
        message = f"`{override}` is of type {ECS.type_of(override)}, no date"
        yield Found("field-type", file.at("rule", "timestamp_override"), message, "Name a date, as event.ingested.")


def _carried(file: RuleFile, field: str, offset: int, *, guess: bool) -> Iterator[Found]:
    known = [(index, families().of(index)) for index in file.rule.index if not index.startswith("-")]
    unable = [(index, why) for index, family in known if family and (why := family.never_why(field))]
    if unable:
        names = ", ".join(f"`{shorten(index)}`" for index, _ in unable)
        reasons = "; ".join(dict.fromkeys(why for _, why in unable))
        todo = f"{reasons}. Ask for a field that it carries, or name other indices."
        yield Found("field-never-carried", offset, f"{names} never carries `{shorten(field)}`", todo)
        return
    if field in families().ecs or field.startswith("_") or any(family and family.knows(field) for _, family in known):
        return
    if "*" in field:
        return
    near = _near(field) if guess else ""
    if not near and not any(family for _, family in known):
        return  # the fields of an index that nobody here knows are its owner's to name
    todo = f"Did you mean `{near}`?" if near else "See the schema, https://www.elastic.co/docs/reference/ecs."
    yield Found("field-unknown", offset, f"ECS names no field `{shorten(field)}`, nor do the rule's indices", todo)


@cache
def _near(field: str) -> str:
    close = get_close_matches(field[:100], families().ecs, 1, 0.85) if len(field) <= 100 else []
    return close[0] if close else ""


def _typed(file: RuleFile, leaf: Place) -> Iterator[Found]:
    kind = ECS.type_of(leaf.name)
    why = "" if kind is None else _why_not(kind, leaf, compared=_is_compared(file, leaf))
    if why:
        message = f"`{shorten(leaf.name)}` is of type {kind}: {why}"
        yield Found(
            "field-type",
            file.in_query(leaf.value_offset),
            message,
            _WHAT.get(str(kind), "Ask for a value of that type."),
        )
    values = families().values.get(leaf.name)
    if values and isinstance(leaf.value, Text) and leaf.value.value not in values:
        near = get_close_matches(leaf.value.value[:60].casefold(), values, 1, 0.75)
        todo = f"Did you mean `{near[0]}`?" if near else f"It lists: {', '.join(values)}."
        message = f"ECS does not list `{shorten(leaf.value.value)}` for {leaf.name}"
        yield Found("field-value", file.in_query(leaf.value_offset), message, todo)


_WHAT = {
    "ip": "Give an address, or a network as 10.0.0.0/8.",
    "date": 'Give a date as "2026-11-22T00:00:00Z", or now-1d.',
    "boolean": "Give true or false.",
    "nested": "Name a field within it.",
    "object": "Name a field within it.",
}


def _why_not(kind: str, leaf: Place, *, compared: bool) -> str:
    """Why the value can never be in, or be compared with, a field of the type; empty where it can."""
    value = leaf.value
    if isinstance(value, Wildcard):
        if compared:
            return "`*` is no bound"
        partial = not value.is_lone and kind in _WHOLE
        return "a wildcard within a value never matches there" if partial else ""
    if isinstance(value, Constant) and value.value is None:
        return "" if compared else "null is never in an index"
    text = str(value)
    if compared and (kind == "boolean" or kind in WORDS):
        return "such values have no order to compare by"
    if compared and kind in EXACT and parse_number(text):
        return f"texts are compared by their characters, so that `{shorten(text)}` is no number there"
    if kind in NUMBERS:
        return "" if parse_number(text) else f"`{shorten(text)}` is no number"
    if kind == "ip":
        fits = parse_address(text) if compared else parse_network(text)
        return "" if fits else f"`{shorten(text)}` is no address or network"
    if kind in DATES:
        return "" if parse_bound(text, lambda: 0, round_up=False) else f"`{shorten(text)}` is no date"
    if kind == "boolean":
        return "" if text in ("true", "false") else f"`{shorten(text)}` is neither true nor false"
    return "an object has no value of its own" if kind in ("nested", "object") else ""


def _is_compared(file: RuleFile, leaf: Place) -> bool:
    between = file.rule.query[leaf.field_offset : leaf.value_offset].rstrip(" \t\r\n\xa0")
    return between.endswith(("<", ">", "<=", ">="))
