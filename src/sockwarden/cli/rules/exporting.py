"""`sockwarden rules export`."""

from __future__ import annotations

from pathlib import Path

import click

from sockwarden.cli.output import print_notes, write_line
from sockwarden.content import RULES_FOLDER, packaged
from sockwarden.errors import InputError
from sockwarden.rules import Folder, Rule, load_packaged, select
from sockwarden.rules.files import read_text
from sockwarden.rules.kibana import export
from sockwarden.rules.placing import place
from sockwarden.sinks import escape


@click.command("export")
@click.argument("selectors", nargs=-1, metavar="[NAME]...")
@click.option("--output", metavar="FILE", help="Instead of standard output.")
@click.option("--folder", metavar="DIR", default=str(RULES_FOLDER), show_default=True, help="The rules folder.")
def export_(selectors: tuple[str, ...], output: str | None, folder: str) -> None:
    """Rules with their exceptions as Kibana imports them, one JSON object a line; all rules where none is named."""
    place_of_rules = Path(folder)
    content = Folder(place_of_rules).load()
    if content.errors:
        raise InputError("the rules folder cannot be exported", where=folder, why="\n".join(map(str, content.errors)))
    rules, _ = content.over(load_packaged())
    own = {id(rule) for rule in content.rules}
    asked = {id(one): one for selector in selectors for one in select(rules, selector)} if selectors else None
    texts = [_text(rule, place_of_rules, own=id(rule) in own) for rule in (asked.values() if asked else rules)]
    files = sorted((place_of_rules / "exceptions").glob("*.toml"))
    done = export(texts, [read_text(file, what="exception list") for file in files if not file.name.startswith(".")])
    if output:
        target = Path(output)
        place(target.parent.resolve() / target.name, b"".join(line + b"\n" for line in done.lines).decode())
    else:
        for line in done.lines:
            write_line(line)
    if done.missing:
        names = ", ".join(map(escape, done.missing))
        print_notes([f"Left out, since they are not in the rules folder: the exception lists {names}."])


def _text(rule: Rule, folder: Path, *, own: bool) -> str:
    name = f"{rule.stem}.toml"
    return read_text(folder / name) if own else (packaged("rules") / name).read_text("utf-8")
