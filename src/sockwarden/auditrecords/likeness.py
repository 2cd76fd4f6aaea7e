"""Calls that are alike: the same was done with the same outcome, at the same files. What may differ is when, by which
program and process of which user and session, from where and under what title, its pointers, and what lay behind its
address; and where the address alone says what was reached, that as well.

A program that asks the same of the same socket again and again leaves such events by the thousand. Whether they are
alike, their lines tell before they are parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sockwarden.auditrecords.call import call_named
from sockwarden.auditrecords.parse import moment_of, stripped
from sockwarden.auditrecords.record import UNSET, title_of
from sockwarden.auditrecords.syscalls import FLAGS_ARGUMENT

_MOST_TEXT = 8192
"""Bytes of lines that are compared: longer ones do not come again."""
_ARGUMENTS = b"".join(rb" a%d=([0-9a-f]{1,16})" % number for number in range(4))
_PROCESS = rb" ppid=(?P<%sppid>0|[1-9]\d{0,9}) pid=(?P<%spid>0|[1-9]\d{0,9})"
_USER = b"".join(rb" %s=\d{1,10}" % key for key in b"auid uid gid euid suid fsuid egid sgid fsgid".split())
_STRING = rb"(?:[0-9A-F]++|\"[!#-~]*+\")"
"""As audit_log_n_untrustedstring prints it (kernel/audit.c): in hex, unless it is plain, without a blank or a quote."""
_EVENT = re.compile(
    rb"(?=type=[A-Z]+ msg=(?P<stamp>audit\((?P<seconds>\d{1,11})\.(?P<millis>\d{3}):(?P<serial>\d{1,10})\):) )"
    # A connect that was asked of an io_uring, as audit_log_uring prints it.
    rb"(?:type=URINGOP msg=(?P=stamp) "
    rb"(?P<request>(?P<asked>uring_op=16 success=(?:yes|no) exit=-?\d{1,20} items=\d{1,4})"
    rb"" + _PROCESS % (b"r", b"r") + rb"(?P<requester> [^\x1d\n]*+))(?P<request_enriched>[^\n]*+)\n)?+"
    # A call as audit_log_exit prints it (kernel/auditsc.c).
    rb"type=SYSCALL msg=(?P=stamp) (?P<system>(?P<call>arch=[0-9a-f]{1,8} syscall=\d{1,10})"
    rb"(?P<result> success=(?:yes|no) exit=-?\d{1,20})" + _ARGUMENTS + rb"(?P<items> items=\d{1,4})"
    rb"" + _PROCESS % (b"", b"") + rb"(?P<user>" + _USER + rb") tty=(?P<tty>[!#-&(-~]{1,64}) ses=(?P<session>\d{1,10})"
    rb" comm=(?P<comm>" + _STRING + rb"|\(null\)) exe=(?P<exe>" + _STRING + rb"|\(null\))"
    rb"(?P<label>(?: [^\x1d\n]*+)?+))(?=[\x1d\n])(?P<enriched>[^\0\n]*+)\n"
    # What socketcall was given, as show_special prints it.
    rb"(?:type=SOCKETCALL msg=(?P=stamp) "
    rb"(?P<given>nargs=3(?: a[0-2]=[0-9a-f]{1,16}){3})(?P<given_enriched>(?:\x1d[^\n]*+)?+)\n)?+"
    # The address, of a Unix socket or any other.
    rb"(?:type=SOCKADDR msg=(?P=stamp) (?:saddr=(?P<unix>(?:0100|0001)[0-9A-F]*+)(?=[\x1d\n])|)"
    rb"(?P<address>[^\n]*+)\n)?+"
    rb"(?:type=CWD msg=(?P=stamp) (?:cwd=(?P<directory>" + _STRING + rb")(?=[\x1d\n])|)(?P<cwd>[^\n]*+)\n)?+"
    rb"(?P<paths>(?:type=PATH msg=(?P=stamp) [^\n]*+\n)*+)"
    # As audit_log_proctitle prints it.
    rb"type=PROCTITLE msg=(?P=stamp) proctitle=(?P<title>" + _STRING + rb")\Z"
)
"""The lines of a connect or an open in the kernel's order."""
_FILE = re.compile(
    rb"type=PATH msg=\S+ (?P<body>(?P<item>item=\d{1,4}) name=\"(?P<name>/[!#-\[\]-~]*+)\" "
    rb"inode=(?P<inode>0|[1-9]\d{0,18}) dev=(?P<device>[0-9a-f]{2,8}:[0-9a-f]{2,8})"
    rb"(?P<rest> mode=[^\x1d\n]*+))[^\n]*+\n"
)
"""The only file of an event, by a plain name."""
_FAMILY = len("0100")
_PROC = b"70726F63"
_NOBODY = b" uid=%s " % UNSET
_EMPTY = (b"00", b'""')
"""How a title begins that may be none."""
_BY_SOCKETCALL = b"3"
"""A connect by socketcall's first argument (include/uapi/linux/net.h)."""


class Likeness(msgspec.Struct, gc=False):
    """What makes an event alike others, and what tells it from them.

    key           equal where events are alike but for program and reach, of such as Assembler.whole takes
    time, serial  when it was, in milliseconds since the epoch, and its number
    parts         those of its records that are not alike, in order, each as a digest takes it in
    own           what else is its own
    program       by which program, as printed: its name, and its executable
    reach         what it reached, where its records tell no more than that
    """

    key: tuple[object, ...]
    time: int
    serial: int
    parts: list[bytes]
    own: Own
    program: tuple[bytes, bytes]
    reach: Reach | None


class Reach(msgspec.Struct, frozen=True, gc=False):
    """The one file that a connect reached by its own name, which is absolute and plain: the name, and as printed its
    inode and device.
    """

    address: bytes
    inode: bytes
    device: bytes


class Own(msgspec.Struct, gc=False):
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
        has_title = self.title[:2] not in _EMPTY or bool(title_of(self.title))
        return _NOBODY not in self.user, self.session != UNSET, has_title, bool(self.directory)


Told = tuple[bytes, bytes, int, int]
"""What tells a likeness in the form of compiled/likeness.c: what is shared and what is its own, each as pieces between
newlines, its moment in milliseconds since the epoch, and its number.
"""


def likeness_told(told: Told) -> Likeness | None:
    """The likeness that was told. None for a call that is told by other records than these."""
    shared, rest, time, serial = told
    call, ppid, pid, user, enriched, tty, session, title, directory, comm, exe, name, inode, device, *parts = (
        rest.split(b"\n")
    )
    if _asked(call) != _CONNECT:
        return None
    own = Own(ppid, pid, user, enriched, tty, session, title, directory)
    reach = Reach(name, inode, device) if name else None
    return Likeness((shared,), time, serial, parts, own, (comm, exe), reach)


def likeness_of(text: bytes) -> Likeness | None:
    """That of an event's lines. None for one that says more than a plain connect or open does."""
    event = _EVENT.match(text) if len(text) <= _MOST_TEXT else None
    if event is None:
        return None
    stamp, call, paths, directory, unix, request, given, title = event.group(*_DECIDING)
    asked = _asked(call)
    if asked is None or (request is not None) != asked.is_request or (given is not None) != asked.is_socketcall:
        return None
    # The kernel tells no address of an open.
    if paths.count(stamp) != paths.count(b"\n") or (asked.arguments and unix is not None):
        return None
    parts = []
    if request is not None:
        if event.group("rpid", "rppid") != event.group("pid", "ppid"):
            return None
        parts.append(b"URINGOP " + stripped(request))
    parts.append(b"SYSCALL " + stripped(event["system"]))
    if given is not None:
        if event[_FIRST] != _BY_SOCKETCALL:
            return None
        parts.append(b"SOCKETCALL " + given)
    # Only a path that leads from the root says by itself where it leads.
    is_told = unix is not None and unix.startswith(b"2F", _FAMILY) and _PROC not in unix
    own_directory = directory if directory and is_told else b""
    end = _end_of_path(unix) if unix else 0
    file = _FILE.fullmatch(paths) if is_told else None
    if file and file["name"].hex().upper().encode() != unix[_FAMILY:end]:
        file = None
    if unix:
        parts.append(b"SOCKADDR saddr=" + unix)
    if own_directory:
        parts.append(b"CWD cwd=" + own_directory)
    if file:
        parts.append(b"PATH " + stripped(file["body"]))
    parts.append(b"PROCTITLE proctitle=" + title)
    ppid, pid, user, enriched, tty, session, comm, exe = event.group(*_OWN)
    own = Own(ppid, pid, user, stripped(enriched[1:]), tty, session, title, own_directory)
    address = event[_ADDRESS]
    is_there = address is not None, unix, event["cwd"] is not None, directory, own_directory, file, *own.told[:-1]
    shared = b"\n".join(
        [
            b"".join(b"1" if each else b"0" for each in is_there),
            *event.group(*_SHARED),
            event["cwd"] or b"",
            # Behind a Unix socket's address is no more than auditd's reading of it.
            (address or b"") if unix is None else unix[: _FAMILY if file else end],
            b"" if own_directory else directory or b"",
            *(file.group("item", "device", "rest") if file else [paths.replace(stamp, b"\n")]),
        ]
    )
    others = event.group(*_OF_OTHERS, *asked.arguments)
    time, number = moment_of(*event.group(*_MOMENT))
    reach = Reach(*file.group("name", "inode", "device")) if file else None
    return Likeness((shared, *others) if any(others) else (shared,), time, number, parts, own, (comm, exe), reach)


def _numbers(*names: str) -> tuple[int, ...]:
    """Those of groups: by these a match gives them quicker than by their names."""
    return tuple(map(_EVENT.groupindex.__getitem__, names))


_DECIDING = _numbers("stamp", "call", "paths", "directory", "unix", "request", "given", "title")
_MOMENT = _numbers("seconds", "millis", "serial")
_OWN = _numbers("ppid", "pid", "user", "enriched", "tty", "session", "comm", "exe")
_SHARED = _numbers("call", "result", "items", "label")
_OF_OTHERS = _numbers("asked", "requester", "request_enriched", "given_enriched")
_ADDRESS = _EVENT.groupindex["address"]
_FIRST = _EVENT.groupindex["result"] + 1
"""The group of a call's first argument."""


def _end_of_path(address: bytes) -> int:
    """Where the name of a Unix socket's address ends, in hex: behind it lies what was in the caller's memory."""
    end = address.find(b"00", _FAMILY)
    while end % 2 and end > 0:
        end = address.find(b"00", end + 1)
    # A name without a NUL, one that begins with it, and what is no hex, count whole.
    return end if end > _FAMILY and len(address) % 2 == 0 else len(address)


class _Asked(NamedTuple):
    """How a call is told: by a request on an io_uring, by what socketcall was given, or by itself; and the groups of
    those of its arguments that tell something.
    """

    is_request: bool
    is_socketcall: bool
    arguments: tuple[int, ...] = ()


_CONNECT = _Asked(is_request=False, is_socketcall=False)


@lru_cache(maxsize=64)
def _asked(call: bytes) -> _Asked | None:
    """Of a connect or an open, by `arch=… syscall=…`; None for a call that is told by others."""
    named = call_named(call)
    if named.hook != named.name:
        return None
    if named.name in ("connect", "socketcall", "io_uring_enter"):
        return _Asked(named.name == "io_uring_enter", named.name == "socketcall")
    if named.kind == "open" and (flags := FLAGS_ARGUMENT.get(named.name)):
        return _Asked(is_request=False, is_socketcall=False, arguments=(_FIRST + int(flags[1:]),))
    return None
