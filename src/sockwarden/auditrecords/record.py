"""One audit record and its fields.

A record is a line of text: a header with time and serial, then `key=value` pairs as the kernel's
kernel/audit.c and kernel/auditsc.c print them. auditd's ENRICHED format appends 0x1d and interpreted values; the
side before it is the kernel's own and the only one judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

UNSET = b"4294967295"
"""auid and ses of a process that no login made."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record.

    type     name as auditd writes it (`SYSCALL`), `UNKNOWN[n]` where there is none
    time     milliseconds since the epoch
    serial   the kernel's u32 event number; with the time it names the event
    body     the kernel's text after the header
    enriched auditd's interpreted text, empty in RAW logs
    node     auditd's `node=` prefix, empty without one
    """

    type: str
    time: int
    serial: int
    body: bytes
    enriched: bytes = b""
    node: bytes = b""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A line that is no record. reason is one of REASONS."""

    reason: str
    line: bytes


REASONS = {
    "torn": "no record header at the start of the line",
    "no serial": "a journal line without the event's serial (export it with journalctl -o json)",
}

# A bare value may be followed by a parenthesised word: AppArmor prints `subj=docker-default (enforce)`.
_FIELD = re.compile(rb"""([A-Za-z0-9_\-\[\]]+)=("[^"]*"|'[^']*'|[^ ]*(?: \(\w+\))?)""")
_MESSAGE = re.compile(rb"(?:^| )msg='(.*)'", re.DOTALL)


_MOST_KEPT = 2048
"""Bytes of the longest body whose pairs are kept for the next that asks: long ones do not come again."""


def fields(body: bytes) -> Mapping[bytes, bytes]:
    """The `key=value` pairs of a body, values as printed (still quoted or hex). The first of equal keys counts.

    The pairs inside a user record's `msg='…'` are added behind the record's own. Several ask the same of a record, and
    directories, names and titles come again and again.
    """
    return _kept(body) if len(body) <= _MOST_KEPT else _fields(body)


@lru_cache(maxsize=512)
def _kept(body: bytes) -> Mapping[bytes, bytes]:
    return _fields(body)


def _fields(body: bytes) -> Mapping[bytes, bytes]:
    message = _MESSAGE.search(body) if b"msg='" in body else None
    found = _FIELD.findall(body[: message.start()] if message else body)
    if message:
        found += _FIELD.findall(message[1])
    found.reverse()
    return dict(found)


def text(value: bytes | None) -> bytes | None:
    """The bytes of a string that the kernel prints with audit_log_untrustedstring: quoted, or hex where that would not
    be safe; None for a missing value and for `(null)`.

    Only for the keys that it prints so (name, exe, comm, cwd, proctitle …): any other value is never hex, however much
    it looks so (`inode=1207`).
    """
    if value is None or value == b"(null)":
        return None
    if value[:1] == b'"':
        return value[1:-1] if value[-1:] == b'"' and len(value) > 1 else value[1:]
    try:
        return bytes.fromhex(value.decode("ascii"))
    except ValueError:
        return value


def decode(raw: bytes) -> str:
    """Bytes of the kernel as text; what is not UTF-8 stands as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


def title_of(value: bytes | None) -> str:
    """A title (proctitle): a process's arguments as it has them itself, between blanks."""
    return decode((text(value) or b"").rstrip(b"\0").replace(b"\0", b" "))
