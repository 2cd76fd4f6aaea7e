"""Who was behind an access: process and lineage, container, user, login session, runtime component."""

from sockwarden.enrich.component import component_of, name_component
from sockwarden.enrich.event import Moment, ProcessEvent

__all__ = [
    "Moment",
    "ProcessEvent",
    "component_of",
    "name_component",
]
