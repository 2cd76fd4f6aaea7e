"""Calls that are alike: events that differ in nothing but when they were, by which process, and its pointers.

A program that asks the same of the same socket again and again leaves such events by the thousand. Whether they are
alike, their lines tell before they are parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sockwarden.auditrecords.call import call_named
from sockwarden.auditrecords.parse import moment_of, stripped
from sockwarden.auditrecords.syscalls import FLAGS_ARGUMENT

_MOST_TEXT = 8192
"""Bytes of lines that are compared: longer ones do not come again."""
_STAMP = rb"(audit\((\d{1,11})\.(\d{3}):(\d{1,10})\):)"
_PROCESS = rb" ppid=(0|[1-9]\d{0,9}) pid=(0|[1-9]\d{0,9})"
_SYSTEM = re.compile(
    rb"type=SYSCALL msg=" + _STAMP + rb" ((arch=[0-9a-f]{1,8} syscall=\d{1,10})( success=(?:yes|no) exit=-?\d{1,20})"
    rb" a0=([0-9a-f]{1,16}) a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=([0-9a-f]{1,16})"
    rb"( items=\d{1,4})" + _PROCESS + rb" [^\x1d\n]*)"
)
"""A SYSCALL record as audit_log_exit prints it (kernel/auditsc.c), in a line of auditd's."""
_REQUEST = re.compile(
    rb"type=URINGOP msg=" + _STAMP + rb" ((uring_op=16 success=(?:yes|no) exit=-?\d{1,20} items=\d{1,4})"
    rb"" + _PROCESS + rb"( [^\x1d\n]*))([^\n]*)\n"
)
"""A connect that was asked of an io_uring, as audit_log_uring prints it."""
_ARGUMENTS = re.compile(rb"\ntype=SOCKETCALL msg=\n (nargs=3(?: a[0-2]=[0-9a-f]{1,16}){3})(?=[\x1d\n])")
"""What a connect by socketcall was given, as show_special prints it, in a line without its stamp."""
_CONNECT = b"3"
"""socketcall's first argument (include/uapi/linux/net.h)."""


class Likeness(NamedTuple):
    """What makes an event alike others, and what tells it from them.

    key           equal where events are alike, of such as Assembler.whole takes
    time, serial  when it was, in milliseconds since the epoch, and its number
    bodies        its first records, which are not alike: type and text
    ppid, pid     as printed
    """

    key: tuple[bytes, ...]
    time: int
    serial: int
    bodies: tuple[tuple[str, bytes], ...]
    ppid: bytes
    pid: bytes


def likeness_of(text: bytes) -> Likeness | None:
    """That of an event's lines, each of which has the event's stamp in its header. None for one that says more than a
    plain connect or open does.
    """
    request = _REQUEST.match(text) if text.startswith(b"type=URINGOP ") else None
    system = _SYSTEM.match(text, request.end() if request else 0)
    arguments = _arguments(system[6]) if system else None
    if system is None or arguments is None or len(text) > _MOST_TEXT:
        return None
    stamp, seconds, millis, serial, body, call, result, *given, items, ppid, pid = system.groups()
    if text.count(stamp) != text.count(b"\n") + 1:
        return None
    # Where a line has its stamp is part of it; no line has a newline, so nothing else can stand there.
    rest = text[system.end(14) :].replace(stamp, b"\n")
    key: tuple[bytes, ...] = (call, result, items, *(given[number] for number in arguments))
    bodies: tuple[tuple[str, bytes], ...] = (("SYSCALL", stripped(body)),)
    name = call_named(call).name
    if name == "io_uring_enter":
        if not request or request.group(1, 7, 8) != (stamp, ppid, pid):
            return None
        key, bodies = (*key, *request.group(6, 9, 10)), (("URINGOP", stripped(request[5])), *bodies)
    elif request:
        return None
    elif name == "socketcall":
        asked = _ARGUMENTS.search(rest)
        if not asked or given[0] != _CONNECT:
            return None
        rest, bodies = rest[: asked.start(1)] + rest[asked.end(1) :], (*bodies, ("SOCKETCALL", asked[1]))
    return Likeness((*key, rest), *moment_of(seconds, millis, serial), bodies, ppid, pid)


@lru_cache(maxsize=64)
def _arguments(call: bytes) -> tuple[int, ...] | None:
    """The arguments that tell something of a call, by `arch=… syscall=…`; None for a call that is told by others."""
    named = call_named(call)
    if named.hook != named.name:
        return None
    if named.name in ("connect", "socketcall", "io_uring_enter"):
        return ()
    if named.kind == "open" and (flags := FLAGS_ARGUMENT.get(named.name)):
        return (int(flags[1:]),)
    return None
