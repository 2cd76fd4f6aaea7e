"""The gaps: where a document of a call and its alerts say which of many alike it was, and what belongs there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from sockwarden.alerts import named, reason_of
from sockwarden.auditrecords import UNSET, Likeness, decode, string_of, title_of, user_of
from sockwarden.document import Document, get, put
from sockwarden.sockets import normalise

_NAMES = (
    *("pid", "ppid", "user", "who", "tty", "session", "title", "directory"),
    *("name", "executable", "program", "given", "canonical", "as given", "target", "inode", "file"),
    *("time", "sequence", "original", "id", "uuid"),
)
GAPS = {name.encode(): place for place, name in enumerate(_NAMES)}
"""Places of what belongs into gaps, by the gaps' names."""
GAP = b"\0"
"""Stands around a gap's name; JSON has none."""
ESCAPED = msgspec.json.encode("\0")[1:-1]
"""The same within a text, as which it is escaped."""
_MOST_KNOWN = 4096
"""Programs and addresses that are kept as JSON."""


def _gap(name: str) -> Any:
    return msgspec.Raw(GAP + name.encode() + GAP)


def _in_text(name: str) -> str:
    return f"\0{name}\0"


_OF_EVENT = {
    "@timestamp": _gap("time"),
    "event.sequence": _gap("sequence"),
    "event.original": _gap("original"),
    "auditd.sequence": _gap("sequence"),
    "process.pid": _gap("pid"),
    "process.parent.pid": _gap("ppid"),
    "process.title": _gap("title"),
    "process.working_directory": _gap("directory"),
    "user": _gap("user"),
    "auditd.session": _gap("session"),
    "auditd.data.tty": _gap("tty"),
}
"""Where a document of a call says which of many alike it was."""
_OF_ALERT = {
    "kibana.alert.uuid": _gap("uuid"),
    "kibana.alert.original_time": _gap("time"),
    "kibana.alert.original_event.sequence": _gap("sequence"),
    "kibana.alert.start": _gap("time"),
    "kibana.alert.last_detected": _gap("time"),
}
"""Where its alert does, beside its ancestor."""
_OF_PROGRAM = {"process.name": _gap("name"), "process.executable": _gap("executable")}
_OF_FILE = frozenset({"sockwarden.socket.inode", "auditd.paths"})
FIELDS = frozenset(_OF_EVENT) | _OF_FILE | {"_id"}
"""Fields that a rule must not look at, whose alerts have gaps."""


def addressed(given: str, canonical: str) -> Document:
    """What a document says of an address by which a socket was reached."""
    both: object = given if given == canonical else [canonical, given]
    return {
        "destination": {"address": both, "path": both},
        "sockwarden": {"socket": {"address_as_given": given, "canonical": canonical}},
    }


def named_as(program: tuple[bytes, bytes]) -> Document:
    """What a document says of a program, by its name and executable as printed."""
    names = zip(("name", "executable"), map(string_of, program), strict=True)
    return {"process": {key: name for key, name in names if name is not None}}


def canonical_of(address: bytes) -> str:
    """The normal form of an absolute address."""
    return normalise(address.decode("ascii"), None) or ""


def is_told(document: Document, likeness: Likeness, *, reached: bool) -> bool:
    """Whether a document says just what a likeness does of the program and, where it is a gap, of what was reached."""
    said = [named_as(likeness.program)]
    if reached and (reach := likeness.reach):
        inode = int(reach.inode)
        if get(document, "sockwarden.socket.inode") not in (None, inode):
            return False
        paths = get(document, "auditd.paths")
        if [(path.get("name"), path.get("inode")) for path in paths] != [(reach.address.decode(), str(inode))]:
            return False
        said.append(addressed(reach.address.decode(), canonical_of(reach.address)))
    return all(_has(document, each) for each in said)


def _has(document: Any, said: Document) -> bool:
    """Whether a document has all that is said."""
    for key, value in said.items():
        held = document.get(key) if isinstance(document, dict) else None
        if held != value and not (isinstance(value, dict) and _has(held, value)):
            return False
    return True


def with_gaps(alert: Document, document: Document, likeness: Likeness, *, reached: bool) -> tuple[Document, int]:
    """An alert with gaps, and how many stand within texts. reached: what was reached is one, too. As the alert shares
    parts with the document, that has gaps then.
    """
    gaps = _OF_EVENT | _OF_ALERT | _OF_PROGRAM
    if not likeness.own.directory:
        del gaps["process.working_directory"]
    address = likeness.reach.address if reached and likeness.reach else b""
    is_plain = address.decode("ascii") == canonical_of(address)
    if address:
        gaps |= _of_reach(document, is_plain=is_plain)
    for field, gap in gaps.items():
        if get(alert, field) is not None:
            put(alert, field, gap)
    signal = alert["kibana"]["alert"]
    signal["ancestors"][-1]["id"] = _gap("id")
    told: Document = {}
    if named(document["user"]):
        told["user"] = {"name": _in_text("who")}
    if any(map(string_of, likeness.program)):
        told["process"] = {"name": _in_text("program")}
    if address:
        target, given = _in_text("target"), _in_text("target" if is_plain else "as given")
        socket = {**document["sockwarden"]["socket"], "canonical": target, "address_as_given": given}
        told["sockwarden"] = {**document["sockwarden"], "socket": socket}
    signal["reason"] = reason_of({**document, **told}, signal["rule"]["name"], signal["severity"])
    return alert, len(told) + (bool(address) and not is_plain)


def _of_reach(document: Document, *, is_plain: bool) -> dict[str, Any]:
    both = _gap("canonical") if is_plain else [_gap("canonical"), _gap("given")]
    (path,) = get(document, "auditd.paths")
    return {
        "destination.address": both,
        "destination.path": both,
        "sockwarden.socket.address_as_given": _gap("given"),
        "sockwarden.socket.canonical": _gap("canonical"),
        "sockwarden.socket.inode": _gap("inode"),
        "auditd.paths": [{**path, "name": _gap("given"), "inode": _gap("file")}],
    }


def fillings(likeness: Likeness, *, reached: bool) -> list[bytes]:
    """What belongs into the gaps of an event that is alike, in the order of their names, up to those of its moment."""
    own, reach = likeness.own, likeness.reach
    return [
        own.pid,
        own.ppid,
        *_user(own.user, own.enriched),
        _word(own.tty),
        b'"%s"' % own.session,
        _json(title_of(own.title)),
        _text(own.directory),
        *_program(*likeness.program),
        *((*_address(reach.address), reach.inode, b'"%s"' % reach.inode) if reached and reach else _NOTHING),
    ]


_NOTHING = (b"",) * 6
_json = msgspec.json.encode


@lru_cache(maxsize=256)
def _word(printed: bytes) -> bytes:
    return _json(decode(printed))


@lru_cache(maxsize=1024)
def _text(printed: bytes) -> bytes:
    return _json(string_of(printed))


def _user(numbers: bytes, enriched: bytes) -> tuple[bytes, bytes]:
    """A user as JSON, and as a reason names them, within a text. Logins are many, and users few."""
    login, _, others = numbers.removeprefix(b" auid=").partition(b" ")
    before, behind, name = _known_user(others, enriched, login != UNSET)
    return before + login + behind if login != UNSET else before, name


@lru_cache(maxsize=256)
def _known_user(numbers: bytes, enriched: bytes, by_login: bool) -> tuple[bytes, bytes, bytes]:
    """That of any login, as JSON before and behind its number."""
    user = user_of(b"auid=%s " % (b"0" if by_login else UNSET) + numbers, enriched)
    if by_login:
        user["audit"]["id"] = "\0"
    before, quoted, behind = _json(user).partition(b'"%s"' % ESCAPED)
    if quoted:
        before, behind = before + b'"', b'"' + behind
    return before, behind, _json(named(user))[1:-1]


@lru_cache(maxsize=_MOST_KNOWN)
def _program(name: bytes, executable: bytes) -> tuple[bytes, bytes, bytes]:
    """A program as JSON, its name and its executable; and as a reason names it, within a text."""
    texts = string_of(name), string_of(executable)
    return _json(texts[0]), _json(texts[1]), _json(texts[0] or texts[1])[1:-1]


@lru_cache(maxsize=_MOST_KNOWN)
def _address(address: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """An address as JSON, as given and in its normal form; and both within texts."""
    given, canonical = _json(address.decode("ascii")), _json(canonical_of(address))
    return given, canonical, given[1:-1], canonical[1:-1]
