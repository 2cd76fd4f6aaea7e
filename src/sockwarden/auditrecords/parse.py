"""The parser: bytes in, a Record or a Rejected out. One front end a form in which records are found.

log       `type=SYSCALL msg=audit(1700000000.123:456): …`, optionally after `node=name`     (auditd)
kernel    `audit: type=1300 audit(1700000000.123:456): …` after a dmesg, kmsg or syslog prefix
journal   `journalctl -o json`: the serial is in _AUDIT_ID, the text in MESSAGE
netlink   a datagram of NETLINK_AUDIT: struct nlmsghdr, then `audit(1700000000.123:456): …`
"""

from __future__ import annotations

import re
import struct
from typing import Any

import msgspec

from sockwarden.auditrecords import types
from sockwarden.auditrecords.record import Record, Rejected

_STAMP = rb"audit\((\d{1,11})\.(\d{3}):(\d{1,10})\):"
LOG = re.compile(rb"(?:node=(\S+) )?type=(\w+(?:\[\d{1,5}\])?) msg=" + _STAMP)
"""The header of a line in auditd's logs: node, type, seconds, milliseconds, serial."""
# Only the kernel's own tag counts: any user can have a logger print the rest of such a line.
_KERNEL = re.compile(
    rb"(?:\d+,\d+,\d+,[^;]{1,20};|(?:<\d+>)?(?:(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) "
    rb"(\S+) kernel: )?(?:\[ *\d+\.\d+\] )?)audit: type=(\d{1,5}) " + _STAMP
)
_PAYLOAD = re.compile(_STAMP)
_JOURNAL_SHORT = re.compile(rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ audit(?:\[\d+\])?: [A-Z]")
_NLMSGHDR = struct.Struct("=IHHII")
_JSON = msgspec.json.Decoder()


def parse_line(line: bytes) -> Record | Rejected | None:
    """One line of any text form. None for one that carries nothing (blank, ausearch's separators, journal chatter)."""
    if header := LOG.match(line):
        node, kind, *stamp = header.groups()
        return record_of(types.canonical(kind.decode()), *moment_of(*stamp), line[header.end() :], node or b"")
    if not line.strip() or line.startswith((b"----", b"time->")):
        return None
    if header := _KERNEL.match(line):
        host, number, *stamp = header.groups()
        return record_of(types.name_of(int(number)), *moment_of(*stamp), line[header.end() :], host or b"")
    if line[:1] == b"{":
        return _journal(line)
    return Rejected("no serial" if _JOURNAL_SHORT.match(line) else "torn", line)


def parse_datagram(datagram: bytes) -> Record | Rejected:
    """One message of NETLINK_AUDIT. The length in its header is not trusted: kernels disagree on what it counts."""
    if len(datagram) < _NLMSGHDR.size:
        return Rejected("torn", datagram)
    payload = datagram[_NLMSGHDR.size :]
    header = _PAYLOAD.match(payload)
    if not header:
        return Rejected("torn", datagram)
    number = int(_NLMSGHDR.unpack_from(datagram)[1])
    return record_of(types.name_of(number), *moment_of(*header.groups()), payload[header.end() :])


def moment_of(seconds: bytes, millis: bytes, serial: bytes) -> tuple[int, int]:
    """What a stamp says: milliseconds since the epoch, and the event's number."""
    return int(seconds) * 1000 + int(millis), int(serial)


def record_of(kind: str, time: int, serial: int, rest: bytes, node: bytes = b"") -> Record:
    """A record of what follows its header."""
    body, _, enriched = rest.partition(b"\x1d")
    return Record(kind, time, serial, stripped(body), stripped(enriched), node)


def stripped(text: bytes) -> bytes:
    """A record's text without what may stand around it."""
    return text.strip(b" \r\n\0")


def _journal(line: bytes) -> Record | Rejected | None:
    try:
        entry = _JSON.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Rejected("torn", line)
    if not isinstance(entry, dict):
        return Rejected("torn", line)
    message = _journal_bytes(entry.get("MESSAGE"))
    host = entry.get("_HOSTNAME")
    node = host.encode() if isinstance(host, str) else b""
    if entry.get("_TRANSPORT") == "kernel":
        record = parse_line(message) if _KERNEL.match(message) else None
        return msgspec.structs.replace(record, node=node) if isinstance(record, Record) else record
    if "_AUDIT_ID" not in entry:
        return None
    number, serial, micros = (
        str(entry.get(key, "")) for key in ("_AUDIT_TYPE", "_AUDIT_ID", "_SOURCE_REALTIME_TIMESTAMP")
    )
    if not all(re.fullmatch(r"[0-9]{1,17}", value) for value in (number, serial, micros)):
        return Rejected("torn", line)
    # journald puts the type's name before the kernel's text.
    body = message.partition(b" ")[2]
    return Record(types.name_of(int(number)), int(micros) // 1000, int(serial), stripped(body), node=node)


def _journal_bytes(message: Any) -> bytes:
    """MESSAGE: text, or an array of byte values where it is not UTF-8."""
    if isinstance(message, str):
        return message.encode("utf-8", "surrogateescape")
    if isinstance(message, list) and all(isinstance(byte, int) and 0 <= byte <= 255 for byte in message):
        return bytes(message)
    return b""
