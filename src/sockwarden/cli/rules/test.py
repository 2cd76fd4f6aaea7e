"""`sockwarden rules test`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Column, Table
from rich.text import Text

from sockwarden.cli.output import console, print_error, print_notes, write_line
from sockwarden.cli.rules.texts import Named, named
from sockwarden.document import encode
from sockwarden.errors import RuleError
from sockwarden.rules import parse_rule
from sockwarden.rules.files import read_text
from sockwarden.rules.trial import SUFFIX, Case, Failure, Outcome, deciding, parse_cases, try_rule
from sockwarden.sinks import escape
from sockwarden.sinks.terminal import put

_MOST_SHOWN = 10
"""Failures of one rule, and conditions that no case meets, that are shown."""
_FAILED, _UNREADABLE = 1, 3


@click.command()
@click.argument("selectors", metavar="[PATH|NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a rule, with every failure.")
def test(selectors: Sequence[str], as_json: bool) -> int:
    """Try rules on their cases, and on documents made from their queries.

    Files, folders, or names of packaged rules; all that is packaged where nothing is named. The cases of NAME.toml are
    beside it in NAME.cases.ndjson, one a line: {"name": "…", "match": true, "document": {…}}. Ends with 1 when a
    document is judged otherwise than it must be, 3 when a file cannot be used.
    """
    outcomes: list[Outcome] = []
    unusable = False
    for file in named(selectors):
        try:
            outcomes.append(_try(file))
        except RuleError as error:
            unusable = True
            print_error(str(error))
    if as_json:
        for outcome in outcomes:
            write_line(msgspec.json.encode(_row(outcome)))
    else:
        _print(outcomes)
    if unusable:
        return _UNREADABLE
    return _FAILED if any(outcome.failures for outcome in outcomes) else 0


def _try(file: Named) -> Outcome:
    if file.error:
        raise file.error
    return try_rule(parse_rule(file.text, file.origin), _cases(file))


def _cases(file: Named) -> Sequence[Case]:
    """Those in the file beside the rule; none where there is no such file."""
    place = file.folder / (Path(file.origin).stem + SUFFIX)
    if not place.is_file():
        return ()
    text = read_text(place)
    return parse_cases(text, str(place))


def _print(outcomes: Sequence[Outcome]) -> None:
    columns = ("rule", "cases", "must match", "must not match", "failed")
    table = Table(Column(columns[0], no_wrap=True), *columns[1:], box=None, header_style="dim")
    for outcome in outcomes:
        passed = outcome.cases - outcome.failed(generated=False)
        failed = Text(str(len(outcome.failures)), style="bold red" if outcome.failures else "green")
        cells = (escape(outcome.rule.stem), f"{passed} of {outcome.cases} passed", str(outcome.matches))
        table.add_row(*map(Text, cells), str(outcome.misses), failed)
    out = console()
    if outcomes:
        out.print(table)
    for outcome in outcomes:
        for failure in outcome.failures[:_MOST_SHOWN]:
            _print_failure(outcome, failure)
        if len(outcome.failures) > _MOST_SHOWN:
            put(out, Text(f"{len(outcome.failures) - _MOST_SHOWN} more failures; --json has all."))
        print_notes(_notes(outcome))


def _print_failure(outcome: Outcome, failure: Failure) -> None:
    out = console()
    made = "made from the query" if failure.generated else "case"
    wrong = "must match and does not" if failure.match else "must not match and does"
    out.print()
    put(out, Text(f"{escape(outcome.rule.stem)}: {escape(failure.name)} ({made}) {wrong}", style="bold"))
    for leaf in deciding(failure.explanation):
        found = ", ".join(map(str, leaf.values)) or "nothing"
        sign = "holds" if leaf.matched else "does not hold"
        put(out, Text(escape(f"    {leaf.query} {sign}; found: {found}" + (f" ({leaf.why})" if leaf.why else ""))))
    put(out, Text("    " + escape(encode(failure.document).decode(errors="replace"))))


def _notes(outcome: Outcome) -> list[str]:
    stem = escape(outcome.rule.stem)
    notes = []
    if not outcome.cases:
        notes.append(f"{stem}: no cases; write them into {stem}{SUFFIX}")
    elif outcome.unmet:
        more = f" and {len(outcome.unmet) - _MOST_SHOWN} more" if len(outcome.unmet) > _MOST_SHOWN else ""
        notes.append(f"{stem}: in no case holds {escape(', '.join(outcome.unmet[:_MOST_SHOWN]))}{more}")
    if outcome.impossible:
        shown = escape("; ".join(outcome.impossible[:_MOST_SHOWN]))
        notes.append(f"{stem}: no document could be made for {len(outcome.impossible)} branches: {shown}")
    if outcome.cut:
        notes.append(f"{stem}: the query has more branches than documents are made for")
    return notes


def _row(outcome: Outcome) -> dict[str, object]:
    failures = [
        {
            "name": failure.name,
            "generated": failure.generated,
            "must_match": failure.match,
            "document": failure.document,
            "decided_by": [
                {"query": leaf.query, "holds": leaf.matched, "values": list(leaf.values), "why": leaf.why}
                for leaf in deciding(failure.explanation)
            ],
        }
        for failure in outcome.failures
    ]
    return {
        "rule": outcome.rule.stem,
        "rule_id": outcome.rule.rule_id,
        "cases": {"passed": outcome.cases - outcome.failed(generated=False), "total": outcome.cases},
        "generated": {"must_match": outcome.matches, "must_not_match": outcome.misses},
        "failures": failures,
        "unmet": outcome.unmet,
        "impossible": outcome.impossible,
        "cut": outcome.cut,
    }
