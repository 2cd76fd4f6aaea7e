"""The data that sockwarden brings: rules and guides. See README.md for where its facts come from."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def packaged(name: str) -> Path:
    """A file or folder of this package."""
    return _HERE / name
