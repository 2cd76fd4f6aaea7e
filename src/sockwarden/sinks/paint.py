"""The colours of severities on a screen."""

from __future__ import annotations

COLOURS = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold white on red"}
