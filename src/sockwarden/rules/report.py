"""What is wrong with a rule file, told with line and caret."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence

import msgspec

from sockwarden.errors import RuleError
from sockwarden.kql import KqlSyntaxError
from sockwarden.kql.caret import line_and_column, point_at
from sockwarden.rules.schema import Problem, shorten
from sockwarden.toml_positions import KeyPath, Span

MAX_FLAWS = 50
"""How many flaws of one file are told."""

_TOMLLIB_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_OPENING = re.compile(r"""\"""\n?|'''\n?|"|'""")


class Flaw(msgspec.Struct, frozen=True):
    """One thing wrong, at a character of the text; `shown` is lines that show it: an excerpt and a caret."""

    offset: int
    message: str
    shown: str = ""


class RefusedRuleError(RuleError):
    """A text that cannot be used as a rule; `flaws` has every reason that is told, in the order of the file."""

    flaws: Sequence[Flaw] = ()


def refusal(origin: str, text: str, flaws: Sequence[Flaw], what: str = "rule") -> RefusedRuleError:
    """The error that tells the first MAX_FLAWS flaws in the order of the file."""
    told = sorted(flaws[:MAX_FLAWS], key=lambda flaw: flaw.offset)
    lines = []
    for flaw in told:
        line, column = line_and_column(text, flaw.offset)
        place = f"line {line}, column {column}" if flaw.shown else f"line {line}"
        lines.append(f"{place}: {flaw.message}")
        lines += [f"    {line}" for line in flaw.shown.splitlines()]
    count = "1 error" if len(flaws) == 1 else f"{len(flaws)} errors"
    if len(flaws) > MAX_FLAWS:
        count = f"the first {MAX_FLAWS} errors"
    error = RefusedRuleError(
        f"cannot be used as a{'n' * (what[0] in 'aeiou')} {what}: {count}", where=origin, why="\n".join(lines)
    )
    error.flaws = told
    return error


def locate(problem: Problem, spans: Mapping[KeyPath, Span]) -> Flaw:
    """A problem at the place of its key; one of the whole file at the file's beginning."""
    return Flaw(spans[problem.path].key if problem.path else 0, problem.message)


def toml_flaw(text: str, spans: Mapping[KeyPath, Span], error: tomllib.TOMLDecodeError) -> Flaw:
    """tomllib's complaint, which carries its place in its words only."""
    words = str(error)
    place = _TOMLLIB_PLACE.search(words)
    message = f"TOML syntax: {shorten(_TOMLLIB_PLACE.sub('', words))}"
    if place and place[1]:
        lines = text.split("\n", int(place[1]) - 1)
        offset = len(text) - len(lines[-1]) + int(place[2]) - 1
        return Flaw(offset, message, point_at(text, offset))
    # At the end of the file, which shows nothing: what never ended began with the last key.
    offset = max((span.key for span in spans.values()), default=0)
    return Flaw(offset, f"{message}, at the end of the file; the last key begins here", point_at(text, offset))


def query_flaw(text: str, value: int, query: str, error: KqlSyntaxError) -> Flaw:
    """KQL's complaint about the query whose string begins at offset `value` of the file's text."""
    reason, *_ = error.why.rsplit("\n", 2)  # its last two lines point into the query; ours, into the file
    message = f"query: {reason}"
    start = string_start(text, value)
    if text.startswith(query, start):
        offset, shown = start + error.offset, point_at(text, start + error.offset)
    else:
        # Escapes in the string: the characters of the query have no places of their own in the file.
        line, column = line_and_column(query, error.offset)
        message = f"in line {line}, column {column} of the {message}"
        offset, shown = value, point_at(query, error.offset)
    return Flaw(offset, message, f"{shown}\n{error.todo}")


def string_start(text: str, value: int) -> int:
    """Where the characters of the string begin whose value begins at an offset."""
    opening = _OPENING.match(text, value)
    return opening.end() if opening else value
