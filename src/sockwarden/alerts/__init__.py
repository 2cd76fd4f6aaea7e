"""Alerts: what a person or a SIEM gets, and how one is told from another."""

from sockwarden.alerts.alert import RISK_SCORES, SEVERITIES, Detector, Severity, View, build
from sockwarden.alerts.identity import uuid_of

__all__ = ["RISK_SCORES", "SEVERITIES", "Detector", "Severity", "View", "build", "uuid_of"]
