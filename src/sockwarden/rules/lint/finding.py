"""What lint finds in a rule file, and what a kind of finding is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]
"""An error: the rule does other than it says. A warning: it may."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a check found, at a character of the file's text."""

    code: str
    offset: int
    message: str
    todo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found, told: `line` and `column` count from 1, `shown` is the line and a caret below it."""

    code: str
    severity: Severity
    file: str
    line: int
    column: int
    message: str
    todo: str
    shown: str

    def row(self) -> dict[str, Any]:
        """As one JSON object."""
        names = ("file", "line", "column", "code", "severity", "message", "todo")
        return {name: getattr(self, name) for name in names}
