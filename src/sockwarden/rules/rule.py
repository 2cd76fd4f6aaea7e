"""A rule that was loaded: its parameters and its compiled query."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from sockwarden.document import Document
from sockwarden.kql import Node
from sockwarden.literals import Clause
from sockwarden.rules.exceptions.item import ExceptionItem

_BESIDE_PARAMETERS = frozenset({"enabled", "interval", "name", "tags"})

Severity = Literal["low", "medium", "high", "critical"]


class Subtechnique(msgspec.Struct, frozen=True):
    """An ATT&CK sub-technique, e.g. T1550.001."""

    id: str
    name: str
    reference: str


class Technique(msgspec.Struct, frozen=True):
    """An ATT&CK technique, e.g. T1611."""

    id: str
    name: str
    reference: str
    subtechnique: tuple[Subtechnique, ...] = ()


class Tactic(msgspec.Struct, frozen=True):
    """An ATT&CK tactic, e.g. TA0004."""

    id: str
    name: str
    reference: str


class Threat(msgspec.Struct, frozen=True):
    """One tactic of a framework, and the techniques of it that a match shows."""

    framework: str
    tactic: Tactic
    technique: tuple[Technique, ...] = ()


class SeverityMapping(msgspec.Struct, frozen=True):
    """A field that, where it holds the value, decides the alert's severity; the highest of those that apply counts."""

    field: str
    severity: Severity
    value: str = ""
    operator: Literal["equals"] = "equals"


class RiskScoreMapping(msgspec.Struct, frozen=True):
    """A field whose number is the alert's risk score; with a value, risk_score counts where the field holds it."""

    field: str
    value: str = ""
    risk_score: int | None = None
    operator: Literal["equals"] = "equals"


class Suppression(msgspec.Struct, frozen=True):
    """`alert_suppression`: one alert for each combination of the values of `group_by`, which are 1 to 3 fields.

    duration_ms: how long one alert takes further matches in, in milliseconds; None: within one run
    missing_fields_strategy: what becomes of a document that lacks a field: one group of those, or an alert each
    """

    group_by: tuple[str, ...]
    duration_ms: int | None = None
    missing_fields_strategy: Literal["suppress", "doNotSuppress"] = "suppress"


class Rule(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A query rule, ready to judge documents. Two rules are equal only when they are the same object.

    stem: the file's name without `.toml`; severity: low, medium, high or critical; risk_score: 0 to 100;
    from_, to, interval: `now-9m`, `now`, `5m`; note, setup: Markdown; query: KQL, as in the file, and `tree`, as
    parsed; matches: whether a document matches; required_literals: what any match must contain; table: `[rule]` as
    in the file, with Kibana's defaults filled in; extra: what Kibana wrote beside that and nothing here uses.

    exceptions: the items that hold alerts back. exception_lists: the ids of the lists that the file names;
    unresolved: those of them that were not found yet. A rule with any must not judge: alerts would come out that
    somebody excepted.
    """

    stem: str
    rule_id: str
    name: str
    description: str
    severity: Severity
    risk_score: int
    version: int
    index: tuple[str, ...]
    from_: str
    to: str
    interval: str
    max_signals: int
    tags: tuple[str, ...]
    references: tuple[str, ...]
    false_positives: tuple[str, ...]
    note: str
    setup: str
    threat: tuple[Threat, ...]
    author: tuple[str, ...]
    license: str
    query: str
    tree: Node
    matches: Callable[[Document], bool]
    required_literals: tuple[Clause, ...]
    severity_mapping: tuple[SeverityMapping, ...] = ()
    risk_score_mapping: tuple[RiskScoreMapping, ...] = ()
    rule_name_override: str = ""
    timestamp_override: str = ""
    timestamp_override_fallback_disabled: bool = False
    building_block: bool = False
    suppression: Suppression | None = None
    investigation_fields: tuple[str, ...] = ()
    enabled: bool = True
    exception_lists: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    exceptions: tuple[ExceptionItem, ...] = ()
    table: Mapping[str, Any]
    extra: Mapping[str, Any] = {}

    def excepted(self, document: Document, now_ms: int) -> ExceptionItem | None:
        """The first item that holds a match back at this time (ms since the epoch), None where none does."""
        for item in self.exceptions:
            if item.matches(document) and not item.expired(now_ms):
                return item
        return None

    def parameters(self) -> dict[str, Any]:
        """What Kibana keeps in `kibana.alert.rule.parameters`, by our reading: `[rule]` in the names of the TOML.

        Name, tags, interval and whether the rule is enabled are no part of it: Kibana keeps
        them beside. The caller may change the dict.
        """
        return copy.deepcopy({key: value for key, value in self.table.items() if key not in _BESIDE_PARAMETERS})
