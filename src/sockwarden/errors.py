"""What can go wrong for a user, each with what, where, why and what to do.

    SockwardenError
    ├── UsageError     exit 2: the command was asked wrongly
    └── InputError     exit 3: an input or a sensor failed
        ├── RuleError      a rule file
        └── QueryError     a KQL query

A message may quote bytes that somebody else wrote; whoever prints it escapes them (see sinks.terminal).
"""

from __future__ import annotations


class SockwardenError(Exception):
    """A failure that a user can act on.

    what: one sentence; where: file, line or option; why: the reason; todo: the way on.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.todo = todo

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        lines += [line for line in (self.why, self.todo) if line]
        return "\n".join(lines)


class UsageError(SockwardenError):
    """The command was asked wrongly."""

    exit_code = 2


class InputError(SockwardenError):
    """An input could not be read, or only in part."""


class RuleError(InputError):
    """A rule file that cannot be used."""


class QueryError(InputError):
    """A KQL query that cannot be parsed; `why` carries the line and the caret."""
