"""Rules in Elastic's TOML format: loaded strictly, compiled, selected by name."""

from __future__ import annotations

from sockwarden.rules.exceptions import ExceptionItem, ExceptionList
from sockwarden.rules.folder import Content, Folder
from sockwarden.rules.load import load_packaged, load_rule, parse_rule
from sockwarden.rules.rule import (
    RiskScoreMapping,
    Rule,
    Severity,
    SeverityMapping,
    Subtechnique,
    Suppression,
    Tactic,
    Technique,
    Threat,
)
from sockwarden.rules.selection import select

__all__ = [
    "Content",
    "ExceptionItem",
    "ExceptionList",
    "Folder",
    "RiskScoreMapping",
    "Rule",
    "Severity",
    "SeverityMapping",
    "Subtechnique",
    "Suppression",
    "Tactic",
    "Technique",
    "Threat",
    "load_packaged",
    "load_rule",
    "parse_rule",
    "select",
]
