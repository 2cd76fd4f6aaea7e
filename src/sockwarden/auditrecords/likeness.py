"""Calls that are alike: events that differ in nothing but when they were, by which process of which session, the title
that it gave itself, its pointers and what lay behind its address.

A program that asks the same of the same socket again and again leaves such events by the thousand. Whether they are
alike, their lines tell before they are parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sockwarden.auditrecords.call import call_named
from sockwarden.auditrecords.parse import moment_of, stripped
from sockwarden.auditrecords.record import UNSET, title_of
from sockwarden.auditrecords.syscalls import FLAGS_ARGUMENT

_MOST_TEXT = 8192
"""Bytes of lines that are compared: longer ones do not come again."""
_STAMP = rb"(audit\((\d{1,11})\.(\d{3}):(\d{1,10})\):)"
_PROCESS = rb" ppid=(0|[1-9]\d{0,9}) pid=(0|[1-9]\d{0,9})"
_SYSTEM = re.compile(
    rb"type=SYSCALL msg=" + _STAMP + rb" ((arch=[0-9a-f]{1,8} syscall=\d{1,10})( success=(?:yes|no) exit=-?\d{1,20})"
    rb" a0=([0-9a-f]{1,16}) a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=([0-9a-f]{1,16})"
    rb"( items=\d{1,4})"
    + _PROCESS
    + rb"( auid=\d{1,10} [^\x1d\n]*?) tty=([^ \x1d\n]{1,64}) ses=(\d{1,10})( [^\x1d\n]*))"
)
"""A SYSCALL record as audit_log_exit prints it (kernel/auditsc.c), in a line of auditd's."""
_REQUEST = re.compile(
    rb"type=URINGOP msg=" + _STAMP + rb" ((uring_op=16 success=(?:yes|no) exit=-?\d{1,20} items=\d{1,4})"
    rb"" + _PROCESS + rb"( [^\x1d\n]*))([^\n]*)\n"
)
"""A connect that was asked of an io_uring, as audit_log_uring prints it."""
_ARGUMENTS = re.compile(rb"\ntype=SOCKETCALL msg=\n (nargs=3(?: a[0-2]=[0-9a-f]{1,16}){3})(?=[\x1d\n])")
"""What a connect by socketcall was given, as show_special prints it, in a line without its stamp."""
_ADDRESS = re.compile(
    rb"\ntype=SOCKADDR msg=\n (saddr=(?:0100|0001)(?:(?!00)[0-9A-F]{2})+)((?:00(?:[0-9A-F]{2})*)?)(?=[\x1d\n])"
)
"""The path of a Unix socket, up to its NUL, and what the caller's buffer held behind it."""
_TITLE = re.compile(rb"\ntype=PROCTITLE msg=\n (proctitle=((?:[0-9A-F]{2})+|\"[^\"\x1d\n]*\"))\Z")
"""A title as audit_log_proctitle prints it, in the last line."""
_CONNECT = b"3"
"""socketcall's first argument (include/uapi/linux/net.h)."""


class Likeness(NamedTuple):
    """What makes an event alike others, and what tells it from them.

    key           equal where events are alike, of such as Assembler.whole takes
    time, serial  when it was, in milliseconds since the epoch, and its number
    bodies        those of its records that are not alike, in order: type and text
    ppid, pid, tty, session, title  as printed
    """

    key: tuple[bytes, ...]
    time: int
    serial: int
    bodies: tuple[tuple[str, bytes], ...]
    ppid: bytes
    pid: bytes
    tty: bytes
    session: bytes
    title: bytes


def likeness_of(text: bytes) -> Likeness | None:
    """That of an event's lines, each of which has the event's stamp in its header. None for one that says more than a
    plain connect or open does.
    """
    request = _REQUEST.match(text) if text.startswith(b"type=URINGOP ") else None
    system = _SYSTEM.match(text, request.end() if request else 0)
    arguments = _arguments(system[6]) if system else None
    if system is None or arguments is None or len(text) > _MOST_TEXT:
        return None
    stamp, seconds, millis, serial, body, call, result, *given, items, ppid, pid = system.groups()[:14]
    user, tty, session, program = system.groups()[14:]
    if text.count(stamp) != text.count(b"\n") + 1:
        return None
    key: tuple[bytes, ...] = (call, result, items, user, program, *(given[number] for number in arguments))
    bodies = [("SYSCALL", stripped(body))]
    name = call_named(call).name
    if name == "io_uring_enter":
        if not request or request.group(1, 7, 8) != (stamp, ppid, pid):
            return None
        key, bodies = (*key, *request.group(6, 9, 10)), [("URINGOP", stripped(request[5])), *bodies]
    elif request or (name == "socketcall" and given[0] != _CONNECT):
        return None
    # Where a line has its stamp is part of it; no line has a newline, so nothing else can stand there.
    cut = _without_what_differs(text[system.end() :].replace(stamp, b"\n"), name)
    if not cut:
        return None
    rest, others, title = cut
    key = (*key, rest, b"" if session == UNSET else b"in a session", b"titled" if title_of(title) else b"")
    return Likeness(key, *moment_of(seconds, millis, serial), (*bodies, *others), ppid, pid, tty, session, title)


def _without_what_differs(rest: bytes, name: str) -> tuple[bytes, list[tuple[str, bytes]], bytes] | None:
    """Of the lines behind SYSCALL, without their stamps, what alike ones share; the other bodies; the title. None where
    they are not as they mostly are.
    """
    title = _TITLE.search(rest, max(rest.rfind(b"\ntype="), 0))
    asked = _ARGUMENTS.match(rest) if name == "socketcall" else None
    if not title or (name == "socketcall" and not asked):
        return None
    address = _ADDRESS.search(rest)
    bodies = [("SOCKETCALL", asked[1])] if asked else []
    bodies += [("SOCKADDR", address[1] + address[2])] if address else []
    places = [match.span(group) for match, group in ((asked, 1), (address, 2), (title, 1)) if match]
    begins, ends = [0, *(end for _, end in places)], [*(begin for begin, _ in places), len(rest)]
    pieces = [rest[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return b"".join(pieces), [*bodies, ("PROCTITLE", title[1])], title[2]


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
