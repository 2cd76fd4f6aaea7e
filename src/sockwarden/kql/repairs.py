"""The slips that people make in KQL, each mended at the place where the parser stopped.

A repair takes the query and the failure and yields queries that may be right; `hints` tries them. The order is
the order of trial.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

from sockwarden.kql.parser import ParseFailure
from sockwarden.kql.scanner import KEYWORD, NOT

Repair = Callable[[str, ParseFailure], Iterator[str]]

_COMPARED = re.compile(r'([<>]=?)\s*(?=["\d.+-]|now)')
_DOUBLE_NOT = re.compile(r"not\s+$", re.IGNORECASE)
_LAST_KEYWORD = re.compile(r"(?:^|[\s(:{])(?:and|or|not)$", re.IGNORECASE)
_HANGING_KEYWORD = re.compile(r"(?:^|\s)(?:and|or)\s*$", re.IGNORECASE)
_LUCENE = re.compile(r"\s(&&|\|\|)\s")
_WORDS = {"&&": "and", "||": "or", ",": "or"}
_EMPTY = re.compile(r"[({]\s*$")
_ESCAPED_QUOTE = re.compile(r'\\"(?=\s*(?:$|[)}]|(?:and|or)\s))', re.IGNORECASE)
_QUOTE_END = re.compile(r"\s(?:and|or)\s|[)}\n]|$", re.IGNORECASE)
_NOT_VALUE = re.compile(r"not(?:\s+|(?=\())", re.IGNORECASE)
_CONJUNCTION = re.compile(r"\s(?:and|or)\s", re.IGNORECASE)


def _not_before_field(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:not b`, `a:not(b or c)`"""
    if stop.value is None or stop.in_list or stop.value == stop.term:
        return
    if match := _NOT_VALUE.match(query, stop.value):
        yield f"{query[: stop.term]}not {query[stop.term : stop.value]}{query[match.end() :]}"


def _not_twice(query: str, stop: ParseFailure) -> Iterator[str]:
    """`not not a:b`"""
    first = _DOUBLE_NOT.search(query[: stop.offset])
    if first and (second := NOT.match(query, stop.offset)):
        yield query[: first.start()] + query[second.end() :]


def _colon_before_comparison(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:>5`"""
    field = query[: stop.offset].rstrip()
    if field.endswith(":") and (match := _COMPARED.match(query, stop.offset)):
        yield f"{field[:-1].rstrip()} {match[1]} {query[match.end() :]}"


def _keyword_without_spaces(query: str, stop: ParseFailure) -> Iterator[str]:
    """`not(a:b)`, `"x" or"y"`"""
    head, rest = query[: stop.offset], query[stop.offset :]
    if rest[:1] in ("(", '"') and _LAST_KEYWORD.search(head):
        yield f"{head} {rest}"
    if match := KEYWORD.match(rest):
        yield f"{head.rstrip()} {match[0]} {rest[match.end() :].lstrip()}"


def _other_operator(query: str, stop: ParseFailure) -> Iterator[str]:
    """`"x" && "y"`, `"x", "y"` in a list, `!(a:b)`"""
    head, rest = query[: stop.offset], query[stop.offset :]
    operator = rest[:1] if stop.in_list and rest.startswith(",") else rest[:2]
    if operator in _WORDS:
        yield f"{head.rstrip()} {_WORDS[operator]} {rest[len(operator) :].lstrip()}"
    if stop.value is not None and (match := _LUCENE.search(query, stop.value, stop.offset)):
        yield f"{query[: match.start(1)]}{_WORDS[match[1]]}{query[match.end(1) :]}"
    if rest.startswith("(") and re.search(r"(?:^|[\s(])!$", head):
        yield f"{head[:-1]}not {rest}"


def _nothing_in_brackets(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:()`"""
    if query[stop.offset : stop.offset + 1] in (")", "}") and (match := _EMPTY.search(query[: stop.offset])):
        yield f"{query[: match.start()]}*{query[stop.offset + 1 :]}"


def _no_value(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:` at the end"""
    head, rest = query[: stop.offset], query[stop.offset :]
    if head.rstrip().endswith(":") and rest[:1] in ("", ")", "}"):
        yield f"{head.rstrip()}*{rest}"


def _no_conjunction(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:b c:d`, `"x" "y"`"""
    if '"and"' not in stop.expected:
        return
    head, rest = query[: stop.offset], query[stop.offset :]
    if rest[:1] in (":", "<", ">") and stop.value is not None and not stop.in_list:
        field = max(query.rfind(space, stop.value, len(head.rstrip())) for space in " \t\r\n\xa0") + 1
        if field:
            yield f"{query[:field]}and {query[field:]}"
    elif rest and head[-1:].isspace() and rest[0] not in ")}":
        yield f"{head}{'or' if stop.in_list and not NOT.match(rest) else 'and'} {rest}"


def _quote_open(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:"b`, and `a:"C:\\dir\\"`, where the backslash takes the quote"""
    if "a closing quote" not in stop.expected:
        return
    if match := _ESCAPED_QUOTE.search(query, stop.offset):
        yield f"{query[: match.start()]}\\{query[match.start() :]}"
    if match := _QUOTE_END.search(query, stop.offset + 1):
        text = query[: match.start()].rstrip()
        yield f'{text}"{query[len(text) :]}'
    yield f'{query.rstrip()}"'


def _quote_missing(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:b"`"""
    if stop.value is not None and query[stop.offset : stop.offset + 1] == '"' and _inside_value(query, stop):
        yield f'{query[: stop.value]}"{query[stop.value :]}'


def _backslash(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:dir\\file`"""
    if query[stop.offset : stop.offset + 1] == "\\" and stop.value is not None:
        end = _value_end(query, stop.value)
        yield query[: stop.value] + query[stop.value : end].replace("\\", "\\\\") + query[end:]


def _unquoted_value(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:b:c`, `a:cannot open`"""
    if stop.value is None or not _inside_value(query, stop):
        return
    end = _value_end(query, stop.value)
    raw = query[stop.value : end]
    if end <= stop.offset or raw.startswith(("(", "{")):
        return
    if "*" in raw:
        yield query[: stop.value] + re.sub(r'(?<!\\)[\\():<>"{}]', r"\\\g<0>", raw) + query[end:]
    else:
        text = re.sub(r'\\([\\():<>"*{}])', r"\1", raw).replace("\\", "\\\\").replace('"', '\\"')
        yield f'{query[: stop.value]}"{text}"{query[end:]}'


def _list_left_open(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:(b or c and d:e`"""
    if stop.in_list and query[stop.offset : stop.offset + 1] in (":", "<", ">"):
        for match in deque(_CONJUNCTION.finditer(query, 0, stop.offset), maxlen=1):
            values = query[: match.start()].rstrip()
            yield f"{values}){query[len(values) :]}"


def _bracket_too_many(query: str, stop: ParseFailure) -> Iterator[str]:
    """`a:b)`, `a:{b:c)`"""
    head, rest = query[: stop.offset], query[stop.offset :]
    if rest[:1] in (")", "}"):
        if stop.closers:
            yield f"{head}{stop.closers[-1]}{rest[1:]}"
        yield f"{head}{rest[1:]}"


def _bracket_left_open(query: str, stop: ParseFailure) -> Iterator[str]:
    """`(a:b`"""
    if stop.offset == len(query) and stop.closers:
        yield query.rstrip() + stop.closers[::-1]


def _hanging_keyword(query: str, stop: ParseFailure) -> Iterator[str]:
    """`"x" or`"""
    head, rest = query[: stop.offset], query[stop.offset :]
    if match := re.match(r"(?:and|or|not)\s*(?=$|[)}])", rest, re.IGNORECASE):
        yield f"{head.rstrip()}{rest[match.end() :]}"
    if rest[:1] in ("", ")", "}") and (match := _HANGING_KEYWORD.search(head)):
        yield f"{head[: match.start()]}{rest}"


def _inside_value(query: str, stop: ParseFailure) -> bool:
    """The parser stopped within or right behind an unquoted value."""
    return stop.value is not None and not query.startswith('"', stop.value)


def _value_end(query: str, start: int) -> int:
    """Where a value that should have been quoted probably ends: at a conjunction or at a bracket of others."""
    depth = 0
    for end in range(start, len(query)):
        character = query[end]
        if character in "({":
            depth += 1
        elif character in ")}":
            depth -= 1
        if depth < 0 or (character.isspace() and _CONJUNCTION.match(query, end)):
            return len(query[:end].rstrip())
    return len(query.rstrip())


REPAIRS: tuple[Repair, ...] = (
    _not_before_field,
    _not_twice,
    _colon_before_comparison,
    _keyword_without_spaces,
    _other_operator,
    _nothing_in_brackets,
    _no_value,
    _hanging_keyword,
    _no_conjunction,
    _quote_open,
    _quote_missing,
    _backslash,
    _unquoted_value,
    _list_left_open,
    _bracket_too_many,
    _bracket_left_open,
)
