"""From a file of the user's folder to an exception list, or to every reason why not, each with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.errors import RuleError
from sockwarden.rules.exceptions.form import list_problems
from sockwarden.rules.exceptions.item import ExceptionItem, item_of
from sockwarden.rules.exceptions.values import Contains, load_values
from sockwarden.rules.files import parse_toml, read_text
from sockwarden.rules.report import MAX_FLAWS, Flaw, locate, refusal
from sockwarden.rules.schema import Problem, wide_integers
from sockwarden.toml_positions import KeyPath, Span

WHAT = "exception list"


class ExceptionList(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A list of exception items. applies_to: the ids or names of rules that it holds for beside those that name it;
    origin: its file; table: as in the file.
    """

    list_id: str
    name: str
    type: str
    namespace_type: str
    applies_to: tuple[str, ...]
    items: tuple[ExceptionItem, ...]
    origin: str
    table: Mapping[str, Any]


class BrokenList(msgspec.Struct, frozen=True):
    """A list that cannot be used, as far as its file says what it is: the rules that it is for cannot be run either."""

    list_id: str | None
    applies_to: tuple[str, ...]
    error: RuleError


def load_list(path: Path, values: Path, *, owned: bool = False) -> ExceptionList | BrokenList:
    """The list in a file. values: the folder of value lists; owned: as root, refuse what others may change."""
    text = ""
    try:
        text = read_text(path, what=WHAT, owned=owned)
        return parse_list(text, str(path), values, owned=owned)
    except RuleError as error:
        list_id, applies_to = _claims(text, str(path))
        return BrokenList(list_id, applies_to, error)


def parse_list(text: str, origin: str, values: Path, *, owned: bool = False) -> ExceptionList:
    """The list in a TOML text; `origin` is the file that errors name. RuleError tells every error with its line."""
    text = text.replace("\r\n", "\n")
    spans, table = parse_toml(text, origin, WHAT)
    problems = (*islice(wide_integers(table), MAX_FLAWS), *islice(list_problems(table), MAX_FLAWS + 1))
    flaws = [locate(problem, spans) for problem in problems]
    flaws += extra_flaws(table.get("extra"), ("extra",), spans)
    for index, item in enumerate(table["item"] if not flaws and "item" in table else ()):
        flaws += extra_flaws(item.get("extra"), ("item", index, "extra"), spans)
    lists: dict[tuple[str, str], Contains] = {}
    if not flaws:
        for place, list_id, kind in _references(table):
            if (list_id, kind) not in lists:
                try:
                    lists[list_id, kind] = load_values(values / list_id, kind, owned=owned)
                except RuleError as error:
                    told = Problem(place, f"{error.where}: {error.what}{': ' if error.why else ''}{error.why}")
                    flaws.append(locate(told, spans))
    if flaws:
        raise refusal(origin, text, flaws, WHAT)
    return _build(table, origin, lists)


def extra_flaws(extra: object, path: KeyPath, spans: Mapping[KeyPath, Span]) -> Iterator[Flaw]:
    """What is wrong with the JSON of an `extra` table."""
    if isinstance(extra, dict) and isinstance(extra.get("json"), str):
        try:
            if isinstance(json.loads(extra["json"]), dict):
                return
            why = "it is no object"
        except (ValueError, RecursionError) as error:
            why = str(error)
        yield locate(Problem((*path, "json"), f"`json` in [{path[-1]}] is not JSON: {why}"), spans)


def _build(table: dict[str, Any], origin: str, lists: Mapping[tuple[str, str], Contains]) -> ExceptionList:
    namespace = table.get("namespace_type", "single")
    list_id = table["list_id"]
    return ExceptionList(
        list_id=list_id,
        name=table["name"],
        type=table.get("type", "detection"),
        namespace_type=namespace,
        applies_to=tuple(table.get("applies_to", ())),
        items=tuple(item_of({"namespace_type": namespace, **item}, list_id, lists) for item in table.get("item", ())),
        origin=origin,
        table=table,
    )


def _references(table: dict[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    for number, item in enumerate(table.get("item", ())):
        for index, entry in enumerate(item["entries"]):
            if entry["type"] == "list":
                yield ("item", number, "entries", index, "list"), entry["list"]["id"], entry["list"]["type"]


def _claims(text: str, origin: str) -> tuple[str | None, tuple[str, ...]]:
    """What a broken file says of itself, where that can be told."""
    try:
        table = parse_toml(text.replace("\r\n", "\n"), origin, WHAT)[1]
    except RuleError:
        return None, ()
    list_id, rules = table.get("list_id"), table.get("applies_to")
    return (
        list_id if isinstance(list_id, str) else None,
        tuple(rule for rule in rules if isinstance(rule, str)) if isinstance(rules, list) else (),
    )
