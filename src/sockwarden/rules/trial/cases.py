"""Cases of a rule: documents that must match and documents that must not, in a file beside the rule.

`STEM.cases.ndjson`, one case a line: {"name": "…", "match": true, "document": {…}}.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sockwarden.errors import RuleError

SUFFIX = ".cases.ndjson"
"""What the name of a rule's file of cases ends with, in place of `.toml`."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One document, and whether the rule's query must match it. `name` says what it is, once in a file."""

    name: str
    match: bool
    document: dict[str, Any]


def parse_cases(text: str, origin: str) -> tuple[Case, ...]:
    """The cases of a file. RuleError, with the line, for one that is none or has an earlier one's name."""
    decoder = msgspec.json.Decoder(Case)
    cases: dict[str, Case] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            case = decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _refused(f"line {number}: {error}", origin) from None
        if case.name in cases:
            raise _refused(f"line {number}: the name of an earlier case", origin)
        cases[case.name] = case
    return tuple(cases.values())


def _refused(why: str, origin: str) -> RuleError:
    todo = 'Write one case a line: {"name": "…", "match": true, "document": {…}}'
    return RuleError("cannot be used as a rule's cases", where=origin, why=why, todo=todo)
