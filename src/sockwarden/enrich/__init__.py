"""Who was behind an access: process and lineage, container, user, login session, runtime component."""

from sockwarden.enrich.component import component_of, name_component
from sockwarden.enrich.containers import Container, Containers
from sockwarden.enrich.event import Moment, ProcessEvent
from sockwarden.enrich.process import Process
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who

__all__ = [
    "Container",
    "Containers",
    "Moment",
    "Process",
    "ProcessCache",
    "ProcessEvent",
    "Who",
    "component_of",
    "name_component",
]
