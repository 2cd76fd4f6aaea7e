"""The audit record language: parse, assemble, interpret. Pure: bytes and records in, events and documents out."""

from sockwarden.auditrecords.assemble import Assembler, key_of
from sockwarden.auditrecords.call import may_have_address
from sockwarden.auditrecords.event import Event
from sockwarden.auditrecords.interpret import document_of, lesson_of
from sockwarden.auditrecords.parse import parse_datagram, parse_line
from sockwarden.auditrecords.record import REASONS, Record, Rejected

__all__ = [
    "REASONS",
    "Assembler",
    "Event",
    "Record",
    "Rejected",
    "document_of",
    "key_of",
    "lesson_of",
    "may_have_address",
    "parse_datagram",
    "parse_line",
]
