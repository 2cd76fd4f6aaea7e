"""Alerts: what a person or a SIEM gets, and how one is told from another."""

from sockwarden.alerts.alert import View, asked_of, build, counted, grouped, iso, named, reason_of, socket_of
from sockwarden.alerts.detector import RISK_SCORES, SEVERITIES, Detector, RuleExecution, Severity
from sockwarden.alerts.identity import uuid_of
from sockwarden.alerts.raising import RAISED_FROM, is_raised, raised
from sockwarden.alerts.suppression import Belonging, Grouping, GroupState, group_of, take

__all__ = [
    "RAISED_FROM",
    "RISK_SCORES",
    "SEVERITIES",
    "Belonging",
    "Detector",
    "GroupState",
    "Grouping",
    "RuleExecution",
    "Severity",
    "View",
    "asked_of",
    "build",
    "counted",
    "group_of",
    "grouped",
    "is_raised",
    "iso",
    "named",
    "raised",
    "reason_of",
    "socket_of",
    "take",
    "uuid_of",
]
