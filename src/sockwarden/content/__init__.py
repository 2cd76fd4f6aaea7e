"""The data that sockwarden brings: rules and guides. See README.md for where its facts come from."""

from __future__ import annotations

from pathlib import Path

RULES_FOLDER = Path("/etc/sockwarden/rules")
"""Where a host's own rules are."""
_HERE = Path(__file__).parent


def packaged(name: str) -> Path:
    """A file or folder of this package."""
    return _HERE / name
