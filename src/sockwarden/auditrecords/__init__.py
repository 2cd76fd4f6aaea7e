"""The audit record language: parse, assemble, interpret. Pure: bytes and records in, events and documents out."""

from sockwarden.auditrecords.assemble import Assembler, key_of
from sockwarden.auditrecords.call import may_have_address, may_lack_request
from sockwarden.auditrecords.event import Event, digest_of, part_of
from sockwarden.auditrecords.interpret import (
    IDENTITY,
    document_of,
    iso,
    lesson_of,
    lesson_of_line,
    original_of,
    string_of,
    user_of,
)
from sockwarden.auditrecords.likeness import Likeness, Reach, Told, likeness_of, likeness_told
from sockwarden.auditrecords.parse import parse_datagram, parse_line
from sockwarden.auditrecords.record import REASONS, UNSET, Record, Rejected, decode, title_of

__all__ = [
    "IDENTITY",
    "REASONS",
    "UNSET",
    "Assembler",
    "Event",
    "Likeness",
    "Reach",
    "Record",
    "Rejected",
    "Told",
    "decode",
    "digest_of",
    "document_of",
    "iso",
    "key_of",
    "lesson_of",
    "lesson_of_line",
    "likeness_of",
    "likeness_told",
    "may_have_address",
    "may_lack_request",
    "original_of",
    "parse_datagram",
    "parse_line",
    "part_of",
    "string_of",
    "title_of",
    "user_of",
]
