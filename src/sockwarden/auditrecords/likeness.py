"""Calls that are alike: one program did the same with the same outcome, at the same address and files. What may differ
is when, by which process of which user and session, from where and under what title, its pointers, and what lay behind
its address.

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
_USER = b"".join(rb" %s=\d{1,10}" % key for key in b"auid uid gid euid suid fsuid egid sgid fsgid".split())
_SYSTEM = re.compile(
    rb"type=SYSCALL msg=" + _STAMP + rb" ((arch=[0-9a-f]{1,8} syscall=\d{1,10})( success=(?:yes|no) exit=-?\d{1,20})"
    rb" a0=([0-9a-f]{1,16}) a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=([0-9a-f]{1,16})"
    rb"( items=\d{1,4})"
    + _PROCESS
    + rb"("
    + _USER
    + rb") tty=([^ \x1d\n]{1,64}) ses=(\d{1,10})( [^\x1d\n]*))([^\0\n]*)(?=\n)"
)
"""A SYSCALL record as audit_log_exit prints it (kernel/auditsc.c), in a line of auditd's."""
_REQUEST = re.compile(
    rb"type=URINGOP msg=" + _STAMP + rb" ((uring_op=16 success=(?:yes|no) exit=-?\d{1,20} items=\d{1,4})"
    rb"" + _PROCESS + rb"( [^\x1d\n]*))([^\n]*)\n"
)
"""A connect that was asked of an io_uring, as audit_log_uring prints it."""
_ARGUMENTS = re.compile(rb"\ntype=SOCKETCALL msg=\n (nargs=3(?: a[0-2]=[0-9a-f]{1,16}){3})(?=[\x1d\n])")
"""What a connect by socketcall was given, as show_special prints it, in a line without its stamp."""
_ADDRESS = re.compile(rb"\ntype=SOCKADDR msg=\n saddr=((?:0100|0001)[0-9A-F]*)(?=[\x1d\n])")
"""The address of a Unix socket."""
_DIRECTORY = re.compile(rb"\ntype=CWD msg=\n cwd=([0-9A-F]+|\"[^\"\x1d\n]+\")(?=[\x1d\n])")
_TITLE = re.compile(rb"\ntype=PROCTITLE msg=\n proctitle=([0-9A-F]+|\"[^\"\x1d\n]*\")\Z")
"""A title as audit_log_proctitle prints it, in the last line."""
_FAMILY = len("0100")
_PROC = b"70726F63"
_CONNECT = b"3"
"""socketcall's first argument (include/uapi/linux/net.h)."""


class Likeness(NamedTuple):
    """What makes an event alike others, and what tells it from them.

    key           equal where events are alike, of such as Assembler.whole takes
    time, serial  when it was, in milliseconds since the epoch, and its number
    bodies        those of its records that are not alike, in order: type and text
    own           what else is its own
    """

    key: tuple[bytes, ...]
    time: int
    serial: int
    bodies: tuple[tuple[str, bytes], ...]
    own: Own


class Own(NamedTuple):
    """What an event says of its process, as printed. user: the numbers of users and groups; enriched: auditd's names of
    them. directory: empty where it tells what the address leads to, or there is none.
    """

    ppid: bytes
    pid: bytes
    user: bytes
    enriched: bytes
    tty: bytes
    session: bytes
    title: bytes
    directory: bytes

    @property
    def told(self) -> tuple[bool, ...]:
        """Which of it a document has."""
        return (b" uid=%s " % UNSET not in self.user, self.session != UNSET, bool(title_of(self.title)))


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
    user, tty, session, program, enriched = system.groups()[14:]
    if text.count(stamp) != text.count(b"\n") + 1:
        return None
    key: tuple[bytes, ...] = (call, result, items, program, *(given[number] for number in arguments))
    bodies = [("SYSCALL", stripped(body))]
    name = call_named(call).name
    if name == "io_uring_enter":
        if not request or request.group(1, 7, 8) != (stamp, ppid, pid):
            return None
        key, bodies = (*key, *request.group(6, 9, 10)), [("URINGOP", stripped(request[5])), *bodies]
    elif request or (name == "socketcall" and given[0] != _CONNECT):
        return None
    # Where a line has its stamp is part of it; no line has a newline, so nothing else can stand there.
    rest = _Rest(text[system.end() :].replace(stamp, b"\n"))
    if name == "socketcall":
        rest.take("SOCKETCALL", _ARGUMENTS, b"")
    directory = rest.take("CWD", _DIRECTORY, b"cwd=") if rest.take_address() else b""
    title = rest.take("PROCTITLE", _TITLE, b"proctitle=")
    if not title or (name == "socketcall" and rest.bodies[0][0] != "SOCKETCALL"):
        return None
    own = Own(ppid, pid, user, stripped(enriched[1:]), tty, session, title, directory)
    key = (*key, rest.shared(), b"%d%d%d%d" % (*own.told, bool(directory)))
    return Likeness(key, *moment_of(seconds, millis, serial), (*bodies, *rest.bodies), own)


class _Rest:
    """The lines behind SYSCALL, without their stamps, from which what differs is taken out, from first to last."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._at = 0
        self._shared: list[bytes] = []
        self.bodies: list[tuple[str, bytes]] = []

    def shared(self) -> bytes:
        """What is left."""
        return b"".join((*self._shared, self._lines[self._at :]))

    def take(self, kind: str, pattern: re.Pattern[bytes], before: bytes) -> bytes:
        """Takes what a pattern's group holds out of the first line of a type; empty where that is another."""
        match = pattern.match(self._lines, self._lines.find(b"\ntype=%s " % kind.encode()))
        if not match or match.start() < self._at:
            return b""
        self._take(kind, match.start(1), match.end(1), before + match[1])
        return match[1]

    def take_address(self) -> bool:
        """The same of what lies behind a path in an address; whether that path says where it leads."""
        match = _ADDRESS.match(self._lines, self._lines.find(b"\ntype=SOCKADDR "))
        if not match or match.start() < self._at:
            return False
        address = match[1]
        self._take("SOCKADDR", match.start(1) + _end_of_path(address), match.end(1), b"saddr=" + address)
        return address.startswith(b"2F", _FAMILY) and _PROC not in address

    def _take(self, kind: str, begin: int, end: int, body: bytes) -> None:
        self._shared.append(self._lines[self._at : begin])
        self._at = end
        self.bodies.append((kind, body))


def _end_of_path(address: bytes) -> int:
    """Where the name of a Unix socket's address ends, in hex: behind it lies what was in the caller's memory."""
    end = address.find(b"00", _FAMILY)
    while end % 2 and end > 0:
        end = address.find(b"00", end + 1)
    # A name without a NUL, one that begins with it, and what is no hex, count whole.
    return end if end > _FAMILY and len(address) % 2 == 0 else len(address)


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
