"""Which call an event's records describe: by architecture, ABI, socketcall or io_uring."""

from __future__ import annotations

import re
from functools import lru_cache

from sockwarden.auditrecords.event import Event
from sockwarden.auditrecords.record import Record, decode, fields
from sockwarden.auditrecords.syscalls import (
    ARCHES,
    KINDS,
    LITTLE_ENDIAN,
    SOCKETCALLS,
    URING_CARRIERS,
    URING_OPS,
    X32,
    Call,
    Kind,
)

_CALL = re.compile(rb"type=SYSCALL msg=audit\([^)]*\): (arch=[0-9a-f]{1,8} syscall=\d{1,10}) ")
_REQUEST = re.compile(
    rb"type=URINGOP msg=audit\([^)]*\): uring_op=(?:%s) "
    % b"|".join(b"%d" % number for number, kind in URING_OPS.items() if kind in ("connect", "bind"))
)
_NUMBERS = re.compile(rb"(arch=[0-9a-f]{1,8} syscall=\d{1,10}) ")
_NAMED_ARCHES = frozenset(arch.name for arch in ARCHES.values())
_ORDER: tuple[Kind, ...] = ("connect", "bind", "open", "rename", "unlink")


def call_of(event: Event) -> Call | None:
    """The call, None where no record names one. A request on an io_uring outranks the call that it was carried out in;
    where the records lack what was requested, it is `unknown`.
    """
    system = event.first("SYSCALL")
    plain = _call_in(system) if system else None
    kinds = set(map(_request, event.all("URINGOP")))
    for kind in _ORDER if kinds else ():
        if kind in kinds:
            arch, name = (plain.arch, plain.name) if plain else ("", "")
            return Call(kind, name, arch, "io_uring", plain.little_endian if plain else True)
    if plain and _carries_requests(plain) and not (kinds and event.complete):
        return Call("unknown", plain.name, plain.arch, "io_uring", plain.little_endian)
    return plain


def may_have_address(text: bytes) -> bool:
    """Whether records, as a log's text, may come with an address: of a file that is opened, renamed or removed the
    kernel records none.
    """
    call = _CALL.search(text)
    return call is None or call_named(call[1]).kind not in ("open", "rename", "unlink")


def may_lack_request(text: bytes) -> bool:
    """Whether records, as a log's text, are of a call that carries out requests of an io_uring, and no connect or bind
    is among them: a request is recorded once it is done, and the call around it when it ends, any time later.
    """
    found = _CALL.search(text)
    if found is None or _REQUEST.search(text):
        return False
    call = call_named(found[1])
    # What is called by an architecture that the table lacks, only auditd's interpretation says.
    return _carries_requests(call) or call.arch not in _NAMED_ARCHES


def _carries_requests(call: Call) -> bool:
    """Whether requests of an io_uring are carried out within a call, whatever its ABI."""
    return call.hook.removeprefix("x32 ") in URING_CARRIERS


@lru_cache(maxsize=64)
def call_named(text: bytes) -> Call:
    """The call that `arch=… syscall=…` names, as far as these two tell."""
    return _system_call(Record("SYSCALL", 0, 0, text))


def results_of(event: Event, call: Call) -> list[Record]:
    """The records that say how the call ended: SYSCALL, or URINGOP of every such request on an io_uring, whose SYSCALL
    tells only how the io_uring_enter around it ended.
    """
    if call.hook != "io_uring":
        return event.all("SYSCALL")
    return [record for record in event.all("URINGOP") if _request(record) == call.kind]


def _request(record: Record) -> Kind:
    """What a URINGOP record asked for."""
    return URING_OPS.get(_number(fields(record.body).get(b"uring_op"), 10), "other")


def _call_in(system: Record) -> Call:
    """The call of a SYSCALL record, mostly told by how it begins."""
    if named := _NUMBERS.match(system.body):
        call = call_named(named[1])
        if call.arch in _NAMED_ARCHES and call.name != "socketcall":
            return call
    return _system_call(system)


def _system_call(system: Record) -> Call:
    raw = fields(system.body)
    arch_number = _number(raw.get(b"arch"), 16)
    number = _number(raw.get(b"syscall"), 10)
    arch = ARCHES.get(arch_number)
    if arch is None:
        # An architecture that the table lacks: auditd's interpretation gives a name, and only a name.
        name = decode(fields(system.enriched).get(b"SYSCALL", raw.get(b"syscall", b"")))
        return Call(
            KINDS.get(name, "unknown" if name.isdigit() else "other"),
            name,
            decode(raw.get(b"arch", b"")),
            name,
            bool(arch_number & LITTLE_ENDIAN),
        )
    little_endian = bool(arch_number & LITTLE_ENDIAN)
    if arch.name == "x86_64" and number & X32:
        name = arch.calls.get(number & ~X32, "")
        return Call(KINDS.get(name, "other"), str(number), arch.name, f"x32 {name or number}", little_endian)
    name = arch.calls.get(number, str(number))
    if name == "socketcall":
        return Call(SOCKETCALLS.get(_number(raw.get(b"a0"), 16), "other"), name, arch.name, name, little_endian)
    return Call(KINDS.get(name, "other"), name, arch.name, name, little_endian)


def _number(value: bytes | None, base: int) -> int:
    """A field as a number; -1 for what is none."""
    try:
        return int(value or b"", base) if len(value or b"") <= 20 else -1
    except ValueError:
        return -1
