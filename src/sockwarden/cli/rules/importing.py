"""`sockwarden rules import`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from sockwarden.cli.output import print_error, print_notes
from sockwarden.content import RULES_FOLDER
from sockwarden.errors import InputError, SockwardenError
from sockwarden.rules.files import read_bytes, read_text
from sockwarden.rules.folder import guard
from sockwarden.rules.kibana import Imported, read_export
from sockwarden.rules.kibana.importing import MOST_BYTES
from sockwarden.rules.placing import file_stem, place
from sockwarden.rules.tomltext import to_toml
from sockwarden.sinks import escape

_MOST_TOLD = 20


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--folder", metavar="DIR", default=str(RULES_FOLDER), show_default=True, help="The rules folder.")
@click.option("--overwrite", is_flag=True, help="Replace rules and exception lists that are there already.")
def import_(file: str, folder: str, overwrite: bool) -> int:
    """Take over rules and exceptions that Kibana exported, as files of the rules folder; 3 when not all were."""
    target = Path(folder)
    if target.exists():
        guard(target)
    read = read_export(read_bytes(Path(file), MOST_BYTES, what="export", owned=False))
    place_of = {"rule": _Place(target), "exception list": _Place(target / "exceptions")}
    conflicting = 0
    for one in read.found:
        where = place_of[one.kind]
        path, there = where.of(one)
        if there and not overwrite:
            conflicting += 1
            print_error(
                f"line {one.line}: the {one.kind} {one.name!r} is there already\n{path}; --overwrite replaces it."
            )
            continue
        place(path, to_toml({**where.kept(path), **one.table}))
        print_notes([escape(f"imported: {one.kind} {one.name!r} into {path}")])
        for name in one.lists:
            if not (target / "lists" / name).exists():
                print_notes([escape(f"  It needs the value list {target / 'lists' / name}, one value a line.")])
    for refusal in read.refused[:_MOST_TOLD]:
        name = f" {refusal.name!r}" if refusal.name else ""
        print_error(f"line {refusal.line}: refused: {refusal.type}{name}\n{refusal.why}")
    if (more := len(read.refused) - _MOST_TOLD) > 0:
        print_error(f"and {more:,} more lines were refused")
    done = len(read.found) - conflicting
    print_notes(map(escape, [*read.notes, f"{done} imported, {len(read.refused)} refused, {conflicting} conflicting."]))
    return InputError.exit_code if read.refused or conflicting else 0


class _Place:
    """A folder of files, and which rule or list each holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths = {identity: path for path in sorted(folder.glob("*.toml")) for identity in _identities(path)}
        self._taken = set(self._paths.values())

    def of(self, one: Imported) -> tuple[Path, bool]:
        """Where it is to be, and whether it is there already."""
        identity = _key(one.identity, one.table.get("namespace_type"))
        if identity in self._paths:
            return self._paths[identity], True
        stem = file_stem(one.name if one.kind == "rule" else one.identity)
        path, number = self._folder / f"{stem}.toml", 2
        while path in self._taken or path.exists():
            path, number = self._folder / f"{stem}-{number}.toml", number + 1
        self._taken.add(path)
        self._paths[identity] = path
        return path, False

    def kept(self, path: Path) -> dict[str, Any]:
        """Which rules a list is for, which Kibana has no word for."""
        found = _table(path)
        return {"applies_to": found["applies_to"]} if isinstance(found.get("applies_to"), list) else {}


def _identities(path: Path) -> Iterable[str]:
    table = _table(path)
    rule = table.get("rule")
    if isinstance(rule, dict):
        yield _key(str(rule.get("rule_id")), None)
    elif "list_id" in table:
        yield _key(str(table["list_id"]), table.get("namespace_type"))


def _key(identity: str, namespace: object) -> str:
    return f"{namespace or 'single'} {identity.casefold()}"


def _table(path: Path) -> dict[str, Any]:
    """A file's table; nothing of one that cannot be read, which holds no rule."""
    try:
        return tomllib.loads(read_text(path)) if path.exists() else {}
    except (SockwardenError, tomllib.TOMLDecodeError, RecursionError):
        return {}
