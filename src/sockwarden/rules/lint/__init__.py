"""Lint: what is probably not meant in a rule file. A module a family of checks; `run` has the registry."""

from __future__ import annotations

from sockwarden.rules.lint.finding import Finding
from sockwarden.rules.lint.run import CODES, UNREADABLE, lint, unreadable

__all__ = ["CODES", "UNREADABLE", "Finding", "lint", "unreadable"]
