"""Records of the programs, read: the structs of programs/record.h, byte for byte. A test holds both together by BTF."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

import msgspec

CONTEXT = struct.Struct("=QQQQ18IBBBB16sI")
"""struct context: time, start, cgroup id, capabilities; pid, tid, parent; uid, euid, suid, fsuid, gid, egid, sgid,
fsgid; auid, session; namespaces of mount, pid, user, net; hierarchy; abi, seccomp, hook, controller; comm; execs.
"""
REACHED = struct.Struct("=QQQII")
"""struct reached: listener, file, client, device, connector."""
_HEAD = struct.Struct("=II")
"""Of struct record: kind, flags."""
_REST = struct.Struct("=QIIiIII6H4x")
"""Of struct record, behind what it reached: the executable's inode and device, action, result, verdict, family, open
flags, lengths."""
RECORD_SIZE = _HEAD.size + CONTEXT.size + REACHED.size + _REST.size
REGION_SIZE = 1792
FLOOD_KEY = struct.Struct("=QQIIHHI")
"""struct flood_key: start, socket, pid, execs, action, family, failed."""
FLOOD = struct.Struct("=QQII")
"""struct flood: second, folded, told, unused."""
IDENTITY = struct.Struct("=IIQ")
"""struct identity: kind, space, number."""


class Kind(IntEnum):
    """enum kind, but KIND_STREAM, whose records are in `streams`."""

    ACCESS = 1
    LISTEN = 2
    FORK = 3
    EXEC = 4
    EXIT = 5
    RENAME = 6
    CGROUP = 7


class Action(IntEnum):
    """enum action."""

    CONNECT = 1
    OPEN = 2
    RECEIVE = 3
    DUPLICATE = 4
    INHERIT = 5
    LISTEN = 6


class Identity(IntEnum):
    """enum identity_kind: what a socket is known by."""

    BY_LISTENER = 1
    BY_FILE = 2
    BY_NAME = 3
    BY_PORT = 4
    BY_LAST_PART = 5


class Counter(IntEnum):
    """enum counter."""

    ACCESSES = 0
    TOLD = 1
    FOLDED = 2
    DROPPED = 3
    PROCESSES = 4
    PROCESSES_DROPPED = 5
    LEFT_ALONE = 6
    STREAMED = 7
    STREAMS_DROPPED = 8


WATCHED, UNDECIDED = 1, 2
"""enum verdict, as far as it is told."""
ABIS = {1: "x86_64", 2: "i386", 3: "x32", 4: "io_uring"}
HOOKS = {
    1: "unix_stream_connect",
    2: "socket_connect",
    3: "file_open",
    4: "file_receive",
    5: "sys_exit",
    6: "io_uring_complete",
    7: "sched_process_exec",
    8: "io_uring_submit_req",
    9: "inet_sock_set_state",
}
CONTROLLERS = {0: "", 1: "pids", 2: "memory", 3: "devices"}

_DELETED, _CUT_EXECUTABLE, _CUT_DIRECTORY, _CUT_CGROUP, _CUT_COMMAND, _GIVEN_LATE = 1, 2, 4, 8, 16, 32


class Context(msgspec.Struct, frozen=True, gc=False):
    """Who, at that moment. Times: ns of CLOCK_MONOTONIC; ids and pids: the host's; capabilities: the effective set;
    execs: programs that the process has run, by the kernel's count.
    """

    time: int
    start: int
    cgroup_id: int
    capabilities: int
    pid: int
    tid: int
    parent: int
    uid: int
    euid: int
    suid: int
    fsuid: int
    gid: int
    egid: int
    sgid: int
    fsgid: int
    auid: int
    session: int
    mount_ns: int
    pid_ns: int
    user_ns: int
    net_ns: int
    hierarchy: int
    abi: int
    seccomp: int
    hook: int
    controller: int
    comm: bytes
    execs: int


class Reached(msgspec.Struct, frozen=True, gc=False):
    """Which socket: the inode of the listener, and of the file that it is bound to with its device in the kernel's
    encoding, 0 each where not known; the inode of the client's end, and the pid that connected it.
    """

    listener: int
    file: int
    client: int
    device: int
    connector: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record.

    given      of a connect the bytes of the address, family first; of an open the path
    bound      the bytes of the address that the listener was bound to, family first
    executable, directory  paths in the mount namespace of the process; None where they could not be walked to their end
    cgroup     a line as in /proc/PID/cgroup; None as before
    command    argv, each with its NUL
    file       device and inode of the executable
    """

    kind: Kind
    who: Context
    reached: Reached
    action: int = 0
    result: int = 0
    verdict: int = 0
    family: int = 0
    open_flags: int = 0
    given: bytes = b""
    bound: bytes = b""
    executable: str | None = None
    deleted: bool = False
    directory: str | None = None
    cgroup: str | None = None
    command: bytes | None = None
    command_cut: bool = False
    given_late: bool = False
    file: tuple[int, int] = (0, 0)


class Kin(NamedTuple):
    """struct flood_key: what accesses have in common that are counted together, when they are too many to be told."""

    start: int
    socket: int
    pid: int
    execs: int
    action: int
    family: int
    failed: int


def kin_of(record: Record) -> Kin:
    """Which accesses this one would be counted with, as the programs have it."""
    who, reached = record.who, record.reached
    socket = (reached.file or reached.listener) if record.verdict == WATCHED else 0
    return Kin(who.start, socket, who.pid, who.execs, record.action, record.family, int(record.result < 0))


def read(raw: bytes) -> Record:
    """A record as it was in the ring. Raises struct.error or ValueError where it is none."""
    kind, flags = _HEAD.unpack_from(raw)
    *numbers, comm, execs = CONTEXT.unpack_from(raw, _HEAD.size)
    who = Context(*(*numbers, comm.partition(b"\0")[0], execs))
    at = _HEAD.size + CONTEXT.size
    reached = Reached(*REACHED.unpack_from(raw, at))
    inode, device, action, result, verdict, family, open_flags, *lengths = _REST.unpack_from(raw, at + REACHED.size)
    texts, at = [], RECORD_SIZE
    for length in lengths[:5]:
        texts.append(raw[at : at + length])
        at += length
    given, bound, executable, directory, cgroup = texts
    start = RECORD_SIZE + REGION_SIZE
    return Record(
        kind=Kind(kind),
        who=who,
        reached=reached,
        action=action,
        result=result,
        verdict=verdict,
        family=family,
        open_flags=open_flags,
        given=given,
        bound=bound,
        executable=_path(executable, deleted=bool(flags & _DELETED))
        if executable and not flags & _CUT_EXECUTABLE
        else None,
        deleted=bool(flags & _DELETED),
        directory=_path(directory) if lengths[3] and not flags & _CUT_DIRECTORY else None,
        cgroup=None if flags & _CUT_CGROUP or kind in (Kind.EXIT, Kind.RENAME, Kind.LISTEN) else _cgroup(who, cgroup),
        command=raw[start : start + lengths[5]] if kind == Kind.EXEC and lengths[5] else None,
        command_cut=bool(flags & _CUT_COMMAND),
        given_late=bool(flags & _GIVEN_LATE),
        file=(device, inode),
    )


def _path(parts: bytes, *, deleted: bool = False) -> str:
    """A path out of its components, the last one first, as the kernel shows it."""
    names = parts.split(b"\0")[:-1]
    path = "/" + b"/".join(reversed(names)).decode("utf-8", "backslashreplace")
    return f"{path} (deleted)" if deleted else path


def _cgroup(who: Context, parts: bytes) -> str:
    return f"{who.hierarchy}:{CONTROLLERS.get(who.controller, '')}:{_path(parts)}"
