"""Rules and exceptions as Kibana exports and imports them: one JSON object a line."""

from sockwarden.rules.kibana.exporting import Export, export
from sockwarden.rules.kibana.importing import Import, Imported, Refusal, read_export

__all__ = ["Export", "Import", "Imported", "Refusal", "export", "read_export"]
