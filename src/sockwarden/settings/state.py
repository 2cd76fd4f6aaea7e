"""Where sockwarden keeps its state."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder(given: str | None = None) -> Path:
    """The state folder: as given, else SOCKWARDEN_STATE, else /var/lib/sockwarden for root, else the user's
    XDG_STATE_HOME (XDG Base Directory Specification; a relative value does not count).
    """
    if chosen := given or os.environ.get("SOCKWARDEN_STATE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/sockwarden")
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "sockwarden"
