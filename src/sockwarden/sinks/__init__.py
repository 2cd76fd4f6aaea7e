"""Sinks: where alerts go."""

from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.fold import Group
from sockwarden.sinks.lines import FORMS, LineSink
from sockwarden.sinks.terminal import TerminalSink, block, one_line, put

__all__ = ["FORMS", "Group", "LineSink", "TerminalSink", "block", "escape", "one_line", "put", "shorten"]
