"""The data that sockwarden brings: rules and guides. See README.md for where its facts come from."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def packaged(name: str) -> Traversable:
    """A file or folder of this package, whether installed as files or as an archive."""
    return files(__name__) / name
