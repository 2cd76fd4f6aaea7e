"""Literals that look like operators, and values without a field.

KQL takes `&&`, `=`, `/re/` and a misspelt `and` for characters of a literal: the query is valid, and asks for a value
that no document has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sockwarden.kql import NO_FIELD, Literal, Text, Wildcard
from sockwarden.kql.places import Place
from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.schema import shorten

CODES: dict[str, tuple[Severity, str]] = {
    "literal-operator": ("error", "`&&`, `||`, `!`, `=`, `==` or `!=` are characters in KQL, no operators."),
    "literal-regex": ("error", "`/…/` is a text in KQL, no regular expression."),
    "literal-list": ("error", "A comma joins no values in KQL: it is a character of one value."),
    "literal-keyword": ("error", "A misspelt `and`, `or` or `not` is a word of the value."),
    "literal-question-mark": ("warning", "`?` is a character in KQL; the one wildcard is `*`."),
    "literal-quoted-star": ("error", "Within quotes, `*` is a character, no wildcard."),
    "value-without-field": ("warning", "A value without a field is looked for in every field."),
}

_OPERATORS = re.compile(r"(?:^|[\s\w])(&&|\|\|)|(?:^|\s)(&|\||==|=|!=)(?=\s)|^(!=|==|=|!)|^[^\s=!]+(==|!=|=)\S*$")
_META = re.compile(r"[+?^$|\[\]]|\.\*|\\")
_PATH_FIELDS = frozenset({"address", "directory", "executable", "path", "working_directory", "args"})
_TYPOS = {
    **dict.fromkeys(("adn", "nad", "andd", "annd", "aand", "&and", "an", "und"), "and"),
    **dict.fromkeys(("ro", "orr", "oor", "oder"), "or"),
    **dict.fromkeys(("nto", "ont", "nott", "noot", "nicht"), "not"),
}
_MOST_WORDS = 200


def check(file: RuleFile) -> Iterator[Found]:
    """Every literal of the query."""
    for leaf in file.leaves:
        found = _operator(leaf) or _keyword(leaf) or _regex(leaf) or _list(leaf) or _wildcard(leaf)
        if found is None and leaf.field == NO_FIELD and not _is_lone(leaf.value):
            found = (
                "value-without-field",
                leaf.value_offset,
                f"`{shorten(str(leaf.value))}` stands without a field, so it is looked for in every field",
                "Write field:value, or field:(value or value).",
            )
        if found:
            code, offset, message, todo = found
            yield Found(code, file.in_query(offset), message, todo)


_Hit = tuple[str, int, str, str]


def _operator(leaf: Place) -> _Hit | None:
    candidates = [(leaf.value, leaf.value_offset)]
    if leaf.field != NO_FIELD:
        candidates.insert(0, (leaf.field, leaf.field_offset))
    for literal, offset in candidates:
        text = _bare(literal)
        found = _OPERATORS.search(text) if text else None
        # `name=value` within a value is an argument like any other; alone or as a field it is a comparison.
        if found is None or (found[4] and literal is leaf.value and leaf.field != NO_FIELD):
            continue
        operator = next(group for group in found.groups() if group)
        words = {"&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "=": "field:value", "==": "field:value"}
        todo = f"Write `{words.get(operator, 'not field:value')}`, or quote the value if the characters are meant."
        return "literal-operator", offset, f"`{operator}` is no operator: `{shorten(text)}` is one literal", todo
    return None


def _keyword(leaf: Place) -> _Hit | None:
    words = _bare(leaf.value).split(None, _MOST_WORDS)[:_MOST_WORDS]
    for word in words if len(words) > 1 else ():
        if meant := _TYPOS.get(word.casefold()):
            message = f"`{shorten(str(leaf.value))}` is one value, with `{word}` in it"
            todo = f"Write `{meant}`, or quote the value if the word is meant."
            return "literal-keyword", leaf.value_offset, message, todo
    return None


def _regex(leaf: Place) -> _Hit | None:
    text = _bare(leaf.value)
    if len(text) < 3 or not (text.startswith("/") and text.endswith("/")):
        return None
    inner = text[1:-1]
    path = leaf.name.rpartition(".")[2] in _PATH_FIELDS
    if not _META.search(inner) and ("/" in inner or path):
        return None
    message = f"`{shorten(text)}` is a text that begins and ends with a slash, no regular expression"
    todo = "KQL has none: write the values with `or`, with `*` for anything; quote it if the slashes are meant."
    return "literal-regex", leaf.value_offset, message, todo


def _list(leaf: Place) -> _Hit | None:
    text = _bare(leaf.value)
    values = [value.strip() for value in text.split(",")]
    if len(values) < 2 or leaf.field == NO_FIELD or not all(values):
        return None
    todo = f"Write {shorten(leaf.name)}:({shorten(' or '.join(values))}), or quote the value if the comma is meant."
    return "literal-list", leaf.value_offset, f"`{shorten(text)}` is one value, with a comma in it", todo


def _wildcard(leaf: Place) -> _Hit | None:
    if isinstance(leaf.value, Text) and leaf.value.quoted and "*" in leaf.value.value:
        message = f'within quotes `*` is a character: "{shorten(leaf.value.value)}" matches that text alone'
        todo = "Leave the quotes out, and escape what needs it with a backslash."
        return "literal-quoted-star", leaf.value_offset, message, todo
    text = _bare(leaf.value)
    if "?" in text:
        message = f"`?` is a character: `{shorten(text)}` asks for a question mark"
        return "literal-question-mark", leaf.value_offset, message, "Write `*`, or quote the value if it is meant."
    return None


def _bare(literal: Literal) -> str:
    """An unquoted literal's text; empty of others."""
    match literal:
        case Text(value, False):
            return value
        case Wildcard():
            return str(literal)
        case _:
            return ""


def _is_lone(literal: Literal) -> bool:
    return isinstance(literal, Wildcard) and literal.is_lone
