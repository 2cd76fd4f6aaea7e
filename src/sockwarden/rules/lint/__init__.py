"""Lint: what is probably not meant in a rule file. A module a family of checks; `run` has the registry."""

from __future__ import annotations

from sockwarden.rules.lint.finding import Finding
from sockwarden.rules.lint.run import CODES, lint

__all__ = ["CODES", "Finding", "lint"]
