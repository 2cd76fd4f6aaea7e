"""From a file to a rule, or to every reason why not, each with its line."""

from __future__ import annotations

import io
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.content import packaged
from sockwarden.document import Document
from sockwarden.errors import RuleError
from sockwarden.kql import KqlSyntaxError, Node, compile_query, parse, required_literals
from sockwarden.literals import Clause
from sockwarden.rules.elastic import DEFAULTS, FILE, OTHER_TYPES
from sockwarden.rules.report import MAX_FLAWS, Flaw, locate, query_flaw, refusal, toml_flaw
from sockwarden.rules.rule import Rule, Threat
from sockwarden.rules.schema import Problem, check, wide_integers
from sockwarden.toml_positions import KeyPath, Span, TooComplexError, positions

MAX_BYTES = 1 << 20
"""The largest rule file that is read; published rules stay below a tenth of it."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    tree: Node
    matches: Callable[[Document], bool]
    required_literals: tuple[Clause, ...]


def load_rule(path: Path) -> Rule:
    """The rule in a file. RuleError when it cannot be read or used; it tells every error with its line."""
    return parse_rule(read_text(path), str(path))


def load_packaged() -> tuple[Rule, ...]:
    """The rules that sockwarden brings, in the order of their files' names."""
    files = [file for file in packaged("rules").iterdir() if file.name.endswith(".toml")]
    files.sort(key=lambda file: file.name)
    return tuple(parse_rule(file.read_text("utf-8"), file.name) for file in files)


def parse_rule(text: str, origin: str) -> Rule:
    """The rule in a TOML text; `origin` is the file that errors name, and its stem becomes the rule's.

    RuleError tells every error with its line. Pure, and safe on any text.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(origin)
    text = text.replace("\r\n", "\n")  # as tomllib does, so that places agree
    spans, document = _parse_toml(text, origin)
    flaws = [locate(problem, spans) for problem in islice(_problems(document), MAX_FLAWS + 1)]
    table = document.get("rule")
    compiled = None
    if isinstance(table, dict) and table.get("language") == "kuery" and isinstance(table.get("query"), str):
        try:
            compiled = _compile(table["query"])
        except KqlSyntaxError as error:
            flaws.append(query_flaw(text, spans["rule", "query"].value, table["query"], error))
    if flaws or compiled is None:
        raise refusal(origin, text, flaws)
    return _build(Path(origin).stem, document["rule"], compiled)


def read_text(path: Path) -> str:
    """A rule file's text. RuleError when there is none: not a regular file, too large, not UTF-8."""
    try:
        with io.BufferedReader(io.FileIO(path, opener=_open_without_waiting)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RuleError("not a regular file", where=str(path), todo="Name a rule's .toml file.")
            content = file.read(MAX_BYTES + 1) or b""  # None: a file of /proc that has nothing to say yet
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RuleError("cannot read the rule", where=str(path), why=why) from None
    if len(content) > MAX_BYTES:
        raise _too_large(str(path))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RuleError(
            "not a text in UTF-8, as TOML must be", where=str(path), why=f"line {line}: {error.reason}"
        ) from None


def _open_without_waiting(path: str, flags: int) -> int:
    """A FIFO would hold the caller until somebody writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def _parse_toml(text: str, origin: str) -> tuple[dict[KeyPath, Span], dict[str, Any]]:
    try:
        spans = positions(text)
    except TooComplexError as error:
        raise refusal(origin, text, [Flaw(error.offset, str(error))]) from None
    try:
        return spans, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refusal(origin, text, [toml_flaw(text, spans, error)]) from None


def _problems(document: dict[str, Any]) -> Iterator[Problem]:
    rule = document.get("rule")
    if isinstance(rule, dict) and rule.get("type") in OTHER_TYPES:
        # Its other keys belong to that type: to complain of them would only hide the reason.
        yield Problem(("rule", "type"), f"type {rule['type']} is not run here; only query")
        return
    yield from wide_integers(document)
    yield from check(document, FILE)


def _compile(query: str) -> _Compiled:
    tree = parse(query)
    return _Compiled(tree, compile_query(tree), required_literals(tree))


def _build(stem: str, table: Mapping[str, Any], compiled: _Compiled) -> Rule:
    table = {**DEFAULTS, **table}
    return Rule(
        stem=stem,
        rule_id=table["rule_id"],
        name=table["name"],
        description=table["description"],
        severity=table["severity"],
        risk_score=table["risk_score"],
        version=table["version"],
        index=tuple(table["index"]),
        from_=table["from"],
        to=table["to"],
        interval=table["interval"],
        max_signals=table["max_signals"],
        tags=tuple(table.get("tags", ())),
        references=tuple(table.get("references", ())),
        false_positives=tuple(table.get("false_positives", ())),
        note=table.get("note", ""),
        setup=table.get("setup", ""),
        threat=msgspec.convert(table.get("threat", ()), tuple[Threat, ...]),
        author=tuple(table.get("author", ())),
        license=table.get("license", ""),
        query=table["query"],
        tree=compiled.tree,
        matches=compiled.matches,
        required_literals=compiled.required_literals,
        timestamp_override=table.get("timestamp_override", ""),
        timestamp_override_fallback_disabled=table.get("timestamp_override_fallback_disabled", False),
        table=table,
    )


def _too_large(origin: str) -> RuleError:
    return RuleError("too large for a rule", where=origin, why=f"a rule file holds at most {MAX_BYTES} bytes")
