"""Every check over rule files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from sockwarden.errors import RuleError
from sockwarden.kql.caret import line_and_column, point_at
from sockwarden.rules.lint import (
    duplicates,
    fields,
    form,
    logic,
    lookalikes,
    schedule,
    scoring,
    suppressions,
    tags,
    threat,
    wording,
)
from sockwarden.rules.lint.finding import Finding, Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.report import RefusedRuleError

FAMILIES = (scoring, schedule, threat, tags, wording, form, lookalikes, fields, logic)
"""One module a family of checks: `check(file)` finds, CODES names what it finds."""

REFUSED = "not-a-rule"
UNREADABLE = "not-readable"

SUPPRESSIBLE: Mapping[str, tuple[Severity, str]] = {
    code: kind for family in (*FAMILIES, duplicates) for code, kind in family.CODES.items()
}

CODES: Mapping[str, tuple[Severity, str]] = {
    UNREADABLE: ("error", "The file cannot be read, so nothing is known of it."),
    REFUSED: ("error", "The file cannot be used as a rule."),
    **SUPPRESSIBLE,
    **suppressions.CODES,
}
"""Every code, with its severity and what it means."""

MAX_FINDINGS = 200
"""How many findings of one family in one file are told."""


def lint(texts: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """What is found in files, each as its name and its text: file by file in their order, in each by place.

    A text that cannot be used as a rule yields the reasons. Pure, and safe on any text.
    """
    files: list[RuleFile | tuple[str, str, list[Found]]] = []
    for origin, text in texts:
        try:
            files.append(RuleFile(origin, text))
        except RefusedRuleError as error:
            flaws = [Found(REFUSED, flaw.offset, flaw.message, _todo(flaw.shown)) for flaw in error.flaws]
            files.append((origin, text.replace("\r\n", "\n"), flaws))
    together: dict[int, list[Found]] = {}
    loaded = [file for file in files if isinstance(file, RuleFile)]
    for file, found in duplicates.check_together(loaded):
        together.setdefault(id(file), []).append(found)
    for one in files:
        if isinstance(one, RuleFile):
            yield from _told(one.origin, one.text, _check(one, together.get(id(one), [])))
        else:
            yield from _told(*one)


def unreadable(origin: str, error: RuleError) -> Finding:
    """That a file cannot be read, as a finding at its beginning."""
    message = f"{error.what}: {error.why}" if error.why else error.what
    return Finding(
        code=UNREADABLE,
        severity=CODES[UNREADABLE][0],
        file=origin,
        line=1,
        column=1,
        message=message,
        todo=error.todo,
        shown="",
    )


def _check(file: RuleFile, more: list[Found]) -> list[Found]:
    found = list(more)
    for family in FAMILIES:
        found += islice(family.check(file), MAX_FINDINGS)
    suppressed, wrong = suppressions.read(file.text, file.spans, SUPPRESSIBLE)
    return [
        *suppressions.remaining(found, suppressed),
        *islice(wrong, MAX_FINDINGS),
        *islice(suppressions.unused(suppressed), MAX_FINDINGS),
    ]


def _told(origin: str, text: str, found: list[Found]) -> Iterator[Finding]:
    for one in sorted(found, key=lambda one: (one.offset, one.code)):
        line, column = line_and_column(text, one.offset)
        yield Finding(
            code=one.code,
            severity=CODES[one.code][0],
            file=origin,
            line=line,
            column=column,
            message=one.message,
            todo=one.todo,
            shown=point_at(text, one.offset),
        )


def _todo(shown: str) -> str:
    """What to do, where what shows a flaw ends with that."""
    last = shown.rpartition("\n")[2]
    return last if last.startswith("Write") else ""
