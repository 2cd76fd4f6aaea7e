"""The store: SQLite, no server."""

from sockwarden.store.keeper import Keeper
from sockwarden.store.retention import Removed
from sockwarden.store.rows import WORKFLOW, Kind, Workflow
from sockwarden.store.runs import Gap, Run, Runs
from sockwarden.store.staging import Staging
from sockwarden.store.store import Store

__all__ = ["WORKFLOW", "Gap", "Keeper", "Kind", "Removed", "Run", "Runs", "Staging", "Store", "Workflow"]
