"""What makes an alert: a rule or a signature, as its alerts tell of it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import msgspec

from sockwarden.alerts.suppression import Grouping

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
RISK_SCORES: dict[Severity, int] = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""The risk score that Elastic's rules use with a severity."""


class Detector(msgspec.Struct, frozen=True, dict=True):
    """What an alert says of the rule or signature that made it.

    risk_score  0 to 100
    threat      ATT&CK entries in the form of Elastic's [[rule.threat]]
    parameters  the rule as written
    more        further fields of `kibana.alert.rule`, made once
    severity_mapping    field, value and the severity where the field holds the value
    risk_score_mapping  field, value and the score where the field holds it; with no value or no score the field's own
                        number
    rule_name_override  the field that names the alert, or empty
    interval_ms  what "one run" is where documents are judged as they come, in ms of their time
    """

    rule_id: str
    name: str
    severity: Severity
    risk_score: int
    version: str
    threat: list[dict[str, Any]]
    parameters: dict[str, Any]
    more: dict[str, Any] = {}
    severity_mapping: tuple[tuple[str, str, Severity], ...] = ()
    risk_score_mapping: tuple[tuple[str, str, int | None], ...] = ()
    rule_name_override: str = ""
    building_block: bool = False
    suppression: Grouping | None = None
    interval_ms: int = 300_000

    @cached_property
    def rule(self) -> dict[str, Any]:
        """`kibana.alert.rule` as far as no document and no run changes it. Its alerts share it: not to be changed."""
        return {
            **self.more,
            "name": self.name,
            "rule_id": self.rule_id,
            "version": self.version,
            "severity": self.severity,
            "risk_score": self.risk_score,
            "threat": self.threat,
            "parameters": self.parameters,
        }


class RuleExecution(msgspec.Struct, frozen=True):
    """The run that makes an alert.

    uuid       of the run
    timestamp  when it began, ISO 8601; the alert's own time
    intended   the time that it stands for: of a run that a person asked for, the end of its window
    """

    uuid: str
    timestamp: str
    type: Literal["scheduled", "manual"] = "scheduled"
    intended: str = ""
