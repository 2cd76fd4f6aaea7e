"""From a file to a rule, or to every reason why not, each with its line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from sockwarden.content import packaged
from sockwarden.document import Document
from sockwarden.kql import KqlSyntaxError, Node, compile_query, parse, required_literals
from sockwarden.literals import Clause
from sockwarden.rules.elastic import DEFAULTS, FILE, OTHER_TYPES
from sockwarden.rules.exceptions.load import extra_flaws
from sockwarden.rules.files import MAX_BYTES, parse_toml, read_text, too_large
from sockwarden.rules.moments import span_ms
from sockwarden.rules.report import MAX_FLAWS, locate, query_flaw, refusal
from sockwarden.rules.rule import RiskScoreMapping, Rule, SeverityMapping, Suppression, Threat
from sockwarden.rules.schema import Problem, check, wide_integers


class _Compiled(msgspec.Struct, frozen=True):
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
    return tuple(_sound(file.read_text("utf-8"), file.name) for file in files)


def _sound(text: str, name: str) -> Rule:
    """A rule that needs no check, since the project's tests parse it: half of what reading them takes is that."""
    document = tomllib.loads(text)
    return _build(Path(name).stem, document, _compile(document["rule"]["query"]))


def parse_rule(text: str, origin: str) -> Rule:
    """The rule in a TOML text; `origin` is the file that errors name, and its stem becomes the rule's.

    RuleError tells every error with its line. Pure, and safe on any text.
    """
    if len(text) > MAX_BYTES:
        raise too_large(origin)
    text = text.replace("\r\n", "\n")  # as tomllib does, so that places agree
    spans, document = parse_toml(text, origin)
    flaws = [locate(problem, spans) for problem in islice(_problems(document), MAX_FLAWS + 1)]
    table = document.get("rule")
    compiled = None
    if isinstance(table, dict) and table.get("language") == "kuery" and isinstance(table.get("query"), str):
        try:
            compiled = _compile(table["query"])
        except KqlSyntaxError as error:
            flaws.append(query_flaw(text, spans["rule", "query"].value, table["query"], error))
    flaws += extra_flaws(document.get("extra"), ("extra",), spans)
    if flaws or compiled is None:
        raise refusal(origin, text, flaws)
    return _build(Path(origin).stem, document, compiled)


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


def _build(stem: str, document: Mapping[str, Any], compiled: _Compiled) -> Rule:
    table = {**DEFAULTS, **document["rule"]}
    named = tuple(dict.fromkeys(one["list_id"] for one in table.get("exceptions_list", ())))
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
        severity_mapping=msgspec.convert(table.get("severity_mapping", ()), tuple[SeverityMapping, ...]),
        risk_score_mapping=msgspec.convert(table.get("risk_score_mapping", ()), tuple[RiskScoreMapping, ...]),
        rule_name_override=table.get("rule_name_override", ""),
        timestamp_override=table.get("timestamp_override", ""),
        timestamp_override_fallback_disabled=table.get("timestamp_override_fallback_disabled", False),
        building_block="building_block_type" in table,
        suppression=_suppression(table.get("alert_suppression")),
        investigation_fields=tuple(table.get("investigation_fields", {}).get("field_names", ())),
        enabled=table.get("enabled", True),
        exception_lists=named,
        unresolved=named,
        table=table,
        extra=json.loads(document["extra"]["json"]) if "extra" in document else {},
    )


def _suppression(table: Mapping[str, Any] | None) -> Suppression | None:
    if table is None:
        return None
    duration = table.get("duration")
    return Suppression(
        group_by=tuple(table["group_by"]),
        duration_ms=span_ms(f"{duration['value']}{duration['unit']}") if duration else None,
        missing_fields_strategy=table.get("missing_fields_strategy", "suppress"),
    )
