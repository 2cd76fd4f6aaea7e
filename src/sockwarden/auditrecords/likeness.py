"""Calls that are alike: events that differ in nothing but when they were, by which process, and its pointers.

A program that asks the same of the same socket again and again leaves such events by the thousand.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sockwarden.auditrecords.call import call_named
from sockwarden.auditrecords.event import Event
from sockwarden.auditrecords.syscalls import FLAGS_ARGUMENT

_MOST_TEXT = 8192
"""Bytes of records that are compared: longer ones do not come again."""
_NUMBER = rb"(0|[1-9]\d{0,9})"
_SYSTEM = re.compile(
    rb"(arch=[0-9a-f]{1,8} syscall=\d{1,10})( success=(?:yes|no) exit=-?\d{1,20})"
    rb" a0=([0-9a-f]{1,16}) a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=([0-9a-f]{1,16})"
    rb"( items=\d{1,4}) ppid=" + _NUMBER + rb" pid=" + _NUMBER + rb"( .*)",
    re.DOTALL,
)
"""A SYSCALL record as audit_log_exit prints it (kernel/auditsc.c)."""


class Likeness(NamedTuple):
    """key: equal where events are alike. ppid, pid: as printed."""

    key: tuple[bytes, ...]
    ppid: bytes
    pid: bytes


def likeness_of(event: Event) -> Likeness | None:
    """What is alike in other events; None for one with records that say more than a plain connect or open does."""
    system = event.records[0]
    if system.type != "SYSCALL" or event.node or not event.complete:
        return None
    call = _SYSTEM.fullmatch(system.body)
    arguments = _arguments(call[1]) if call else None
    if call is None or arguments is None:
        return None
    parts = [call[1], call[2], call[7], call[10], system.enriched, *(call[3 + number] for number in arguments)]
    for record in event.records[1:]:
        parts += (record.type.encode(), record.body)
    if sum(map(len, parts)) > _MOST_TEXT:
        return None
    return Likeness(tuple(parts), call[8], call[9])


@lru_cache(maxsize=64)
def _arguments(call: bytes) -> tuple[int, ...] | None:
    """The arguments that tell something of a call, by `arch=… syscall=…`; None for a call that is told by others."""
    named = call_named(call)
    if named.hook != named.name:
        return None
    if named.kind == "connect":
        return () if named.name == "connect" else None
    if named.kind == "open" and (flags := FLAGS_ARGUMENT.get(named.name)):
        return (int(flags[1:]),)
    return None
