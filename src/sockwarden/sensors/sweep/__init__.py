"""The sweep: who holds a connection to a runtime socket now, and the document of that."""

from sockwarden.sensors.sweep.document import Connector, document_of
from sockwarden.sensors.sweep.sweep import Held, Sweep

__all__ = ["Connector", "Held", "Sweep", "document_of"]
