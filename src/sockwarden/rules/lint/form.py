"""How the query is written."""

from __future__ import annotations

from collections.abc import Iterator

from sockwarden.kql.printer import is_normal, print_query
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile

CODES: dict[str, tuple[Severity, str]] = {
    "query-form": ("warning", "The query is not in its normal form, as `sockwarden kql check` prints it."),
}

_BLANK = " \t\r\n\xa0"


def check(file: RuleFile) -> Iterator[Found]:
    """The query against its normal form, blanks aside."""
    query = file.rule.query
    if is_normal(query):
        return
    normal = print_query(file.rule.tree, wrap=True)
    yield Found(
        "query-form",
        file.in_query(_first_difference(query, normal)),
        "the query is not in its normal form, which differs from here on",
        f"Write:\n{normal}",
    )


def _first_difference(query: str, normal: str) -> int:
    """The first character of the query, blanks aside, that is another in the normal form."""
    wanted = (character for character in normal if character not in _BLANK)
    for offset, character in enumerate(query):
        if character not in _BLANK and next(wanted, None) != character:
            return offset
    return 0
