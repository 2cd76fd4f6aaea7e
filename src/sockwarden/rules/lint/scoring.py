"""Severity and risk score, which must say the same."""

from __future__ import annotations

from collections.abc import Iterator

from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile

CODES: dict[str, tuple[Severity, str]] = {
    "risk-score-band": ("error", "The risk score is not in the band of the severity."),
}

BANDS = {"low": (0, 21), "medium": (22, 47), "high": (48, 73), "critical": (74, 100)}
"""The risk scores of each severity, inclusive: Elastic's."""


def check(file: RuleFile) -> Iterator[Found]:
    """The score against the severity's band."""
    score, severity = file.rule.risk_score, file.rule.severity
    least, most = BANDS[severity]
    if not least <= score <= most:
        (right,) = [name for name, (low, high) in BANDS.items() if low <= score <= high]
        yield Found(
            "risk-score-band",
            file.at("rule", "risk_score"),
            f"a risk score of {score} is {right}, and the severity is {severity}",
            f'Write a score from {least} to {most}, or severity = "{right}".',
        )
