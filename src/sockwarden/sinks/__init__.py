"""Sinks: where alerts go."""

from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.fold import Group
from sockwarden.sinks.journald import JournaldSink
from sockwarden.sinks.lines import FORMS, LineSink
from sockwarden.sinks.live import LiveSink, Status
from sockwarden.sinks.sink import AccessSink, Sink, StorySink, TerminalGoneError
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.stream import StreamSink
from sockwarden.sinks.terminal import TerminalSink, block, one_line, put

__all__ = [
    "FORMS",
    "AccessSink",
    "Group",
    "JournaldSink",
    "LineSink",
    "LiveSink",
    "NdjsonFileSink",
    "Sink",
    "SpooledSink",
    "Status",
    "StorySink",
    "StreamSink",
    "TerminalGoneError",
    "TerminalSink",
    "block",
    "escape",
    "one_line",
    "put",
    "shorten",
]
