"""Sinks: where alerts go."""

from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.fold import Group
from sockwarden.sinks.lines import FORMS, Lines, LineSink
from sockwarden.sinks.sink import AccessSink, Sink, StorySink, TerminalGoneError

__all__ = [
    "FORMS",
    "AccessSink",
    "Group",
    "LineSink",
    "Lines",
    "Sink",
    "StorySink",
    "TerminalGoneError",
    "escape",
    "shorten",
]
