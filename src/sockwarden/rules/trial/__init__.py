"""A rule tried: cases beside it, and documents made from its query."""

from __future__ import annotations

from sockwarden.rules.trial.cases import SUFFIX, Case, parse_cases
from sockwarden.rules.trial.run import Failure, Outcome, deciding, try_rule

__all__ = ["SUFFIX", "Case", "Failure", "Outcome", "deciding", "parse_cases", "try_rule"]
