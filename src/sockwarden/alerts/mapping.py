"""What a document decides of its alert: severity, risk score and name, by the rule's mappings."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sockwarden.alerts.detector import SEVERITIES, Detector, Severity
from sockwarden.document import Document, values

_MOST_NAME = 1024
_MOST_NUMBER = 32


def severity_of(document: Document, detector: Detector) -> Severity:
    """The highest severity whose field holds its value; the rule's own where none does."""
    if not detector.severity_mapping:
        return detector.severity
    found = [severity for field, value, severity in detector.severity_mapping if _holds(document, field, value)]
    return max(found, key=SEVERITIES.index, default=detector.severity)


def risk_score_of(document: Document, detector: Detector) -> float:
    """By the first mapping that applies: the given score, or the field's number where it is one from 0 to 100."""
    for field, value, score in detector.risk_score_mapping:
        if value and not _holds(document, field, value):
            continue
        if score is not None:
            return score
        for number in _numbers(document, field):
            return number
    return detector.risk_score


def name_of(document: Document, detector: Detector) -> str:
    """The first text or number of the field that names the alert; the rule's own name where there is none."""
    if detector.rule_name_override:
        for value in values(document, detector.rule_name_override):
            if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
                return str(value)[:_MOST_NAME]
    return detector.name


def text_of(value: object) -> str:
    """A leaf as a keyword field holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _holds(document: Document, field: str, value: str) -> bool:
    # Loops cost half of what any() and a generator do.
    for held in values(document, field):  # noqa: SIM110
        if text_of(held) == value:
            return True
    return False


def _numbers(document: Document, field: str) -> Iterator[float]:
    for value in values(document, field):
        if isinstance(value, bool) or (isinstance(value, str) and len(value) > _MOST_NUMBER):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if math.isfinite(number) and 0 <= number <= 100:
            yield int(number) if number.is_integer() else number
