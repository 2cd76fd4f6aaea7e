"""The store: SQLite, no server."""

from sockwarden.store.keeper import Keeper
from sockwarden.store.retention import Removed
from sockwarden.store.store import Store

__all__ = ["Keeper", "Removed", "Store"]
