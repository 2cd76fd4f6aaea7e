"""The store: SQLite, no server."""

from sockwarden.store.store import Store

__all__ = ["Store"]
