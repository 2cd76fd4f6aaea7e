"""A rule with the text that it came from: what checks look at, and where it stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from sockwarden.kql.places import Place, places
from sockwarden.rules.load import parse_rule
from sockwarden.rules.report import string_start
from sockwarden.rules.rule import Rule
from sockwarden.toml_positions import KeyPath, Span, positions


class RuleFile:
    """A file that loads. Raises RuleError as parse_rule does.

    origin: the file's name; text: with `\\n` for line ends; rule: as loaded; document: as tomllib gives it
    """

    def __init__(self, origin: str, text: str) -> None:
        self.origin = origin
        self.text = text.replace("\r\n", "\n")
        self.rule: Rule = parse_rule(text, origin)
        self.document: Mapping[str, Any] = tomllib.loads(self.text)
        self.spans: Mapping[KeyPath, Span] = positions(self.text)

    @property
    def table(self) -> Mapping[str, Any]:
        """`[rule]`, as in the file."""
        table: Mapping[str, Any] = self.document["rule"]
        return table

    @property
    def metadata(self) -> Mapping[str, Any]:
        """`[metadata]`, empty where there is none."""
        table: Mapping[str, Any] = self.document.get("metadata", {})
        return table

    @cached_property
    def leaves(self) -> tuple[Place, ...]:
        """The query's leaves with their places in the query."""
        return places(self.rule.query)

    def at(self, *path: str | int) -> int:
        """The offset of a key, an array's element or a table; of the nearest that there is."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans[path].key if path else 0

    def in_query(self, offset: int) -> int:
        """The offset of a character of the query; of the whole string where escapes keep it from having one."""
        value = self.spans["rule", "query"].value
        start = string_start(self.text, value)
        return start + offset if self.text.startswith(self.rule.query, start) else value

    def fields(self) -> Iterator[tuple[str, int]]:
        """Every field that the rule reads, with the place that names it: its query's and its parameters'."""
        for leaf in self.leaves:
            if leaf.name:
                yield leaf.name, self.in_query(leaf.field_offset)
        yield from self.parameter_fields()

    def parameter_fields(self) -> Iterator[tuple[str, int]]:
        """The fields that parameters name, with their places."""
        table = self.table
        for key in ("rule_name_override", "timestamp_override"):
            if table.get(key):
                yield table[key], self.at("rule", key)
        for key, names in (("alert_suppression", "group_by"), ("investigation_fields", "field_names")):
            for index, field in enumerate(table.get(key, {}).get(names, ())):
                yield field, self.at("rule", key, names, index)
        for key in ("severity_mapping", "risk_score_mapping"):
            for index, entry in enumerate(table.get(key, ())):
                yield entry["field"], self.at("rule", key, index, "field")
