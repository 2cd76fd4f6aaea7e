"""Kibana's export to rule and exception files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sockwarden.errors import RuleError
from sockwarden.rules.exceptions.form import list_problems
from sockwarden.rules.files import MAX_BYTES
from sockwarden.rules.kibana.tables import Object, list_table, rule_table
from sockwarden.rules.load import parse_rule
from sockwarden.rules.schema import shorten
from sockwarden.rules.tomltext import to_toml

MOST_BYTES = 256 << 20
_PLACE = re.compile(r"^line \d+(, column \d+)?: ", re.MULTILINE)


class Imported(msgspec.Struct, frozen=True):
    """One file to be written. identity: a rule's rule_id, a list's list_id; lists: value lists that it needs."""

    kind: str
    name: str
    identity: str
    line: int
    table: dict[str, Any]
    lists: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """What was not taken over. line: of the export; type: of the rule, or what it is."""

    line: int
    type: str
    name: str
    why: str


class Import(msgspec.Struct):
    """What an export holds. notes: what differs from its own summary."""

    found: list[Imported]
    refused: list[Refusal]
    notes: list[str]


def read_export(content: bytes) -> Import:
    """The rules and exception lists of an export. Whatever is in it, it comes out here or as a refusal."""
    read = Import([], [], [])
    lists: dict[tuple[str, str], tuple[int, Object, list[tuple[int, Object]]]] = {}
    items: list[tuple[int, Object]] = []
    summary: Object | None = None
    count = 0
    for line, found in _objects(content, read.refused):
        if "exported_count" in found or "exported_rules_count" in found:
            summary = found
            continue
        count += 1
        if "entries" in found and "list_id" in found:
            items.append((line, found))
        elif "rule_id" in found:
            _rule(line, found, read)
        elif "list_id" in found:
            other = lists.setdefault(_name_of(found), (line, found, []))
            if other[1] is not found:
                read.refused.append(_refusal(line, found, "exception list", f"line {other[0]} has the same list_id"))
        else:
            kind = f"saved object {found['type']}" if isinstance(found.get("type"), str) else "object"
            read.refused.append(_refusal(line, found, kind, "neither a rule nor an exception list nor an item of one"))
    for line, item in items:
        if _name_of(item) in lists:
            lists[_name_of(item)][2].append((line, item))
        else:
            read.refused.append(_refusal(line, item, "exception item", "its list is not in the export"))
    for line, head, below in lists.values():
        _list(line, head, [item for _, item in below], read)
    if summary is not None and summary.get("exported_count") not in (None, count):
        read.notes.append(f"its summary tells of {summary['exported_count']} objects; it holds {count}")
    return read


def _objects(content: bytes, refused: list[Refusal]) -> Iterator[tuple[int, Object]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refused.append(Refusal(number, "it is no JSON object", "", str(error)))
            continue
        yield number, found


def _rule(line: int, found: Object, read: Import) -> None:
    kind = f"rule of type {shorten(str(found.get('type')))}"
    try:
        table = rule_table(found)
        text = to_toml(table)
        rule = parse_rule(text, "imported.toml")
    except RuleError as error:
        read.refused.append(_refusal(line, found, kind, _PLACE.sub("", error.why)))
        return
    except ValueError as error:
        read.refused.append(_refusal(line, found, kind, str(error)))
        return
    read.found.append(Imported("rule", rule.name, rule.rule_id, line, table))


def _list(line: int, head: Object, items: list[Object], read: Import) -> None:
    try:
        table = list_table(head, items)
        text = to_toml(table)
    except ValueError as error:
        read.refused.append(_refusal(line, head, "exception list", str(error)))
        return
    wrong = [problem.message for problem, _ in zip(list_problems(table), range(20), strict=False)]
    if len(text) > MAX_BYTES:
        wrong.append(f"larger than a file may be, {MAX_BYTES} bytes")
    if wrong:
        read.refused.append(_refusal(line, head, "exception list", "\n".join(wrong)))
        return
    entries = [entry for item in items for entry in item["entries"]]
    needed = dict.fromkeys(entry["list"]["id"] for entry in entries if entry["type"] == "list")
    read.found.append(Imported("exception list", table["name"], table["list_id"], line, table, tuple(needed)))


def _name_of(found: Object) -> tuple[str, str]:
    return str(found["list_id"]), str(found.get("namespace_type", "single"))


def _refusal(line: int, found: Object, kind: str, why: str) -> Refusal:
    return Refusal(line, kind, shorten(str(found.get("name", ""))), why)
