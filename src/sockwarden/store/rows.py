"""Documents as rows: whole, beside the columns they are found by.

They are compressed with a preset dictionary (zlib, RFC 1950): a document is short, and what it repeats is its own
form. Measured on the audit captures: 2,153 bytes of JSON become 311; without the dictionary 1,063, and slower. An
alert's rule, 9 KB with its guide, is a row of its own that all its alerts share; 410 of the other 2,572 bytes are left.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from sockwarden.alerts import SEVERITIES
from sockwarden.document import Document, encode, get

_LEVEL = 2
_DICTIONARY = Path(__file__).with_name("dictionary.json").read_bytes()
"""Never to be changed: what was compressed with it could not be read any more."""
# To set a compressor up costs as much as to compress: each document takes a copy of this one, which is small enough
# (a window of 16 KiB) that the copy is no map of pages of its own. Whatever its window, it is read back the same way.
_COMPRESSOR = zlib.compressobj(_LEVEL, zlib.DEFLATED, 14, 6, zdict=_DICTIONARY)

_COUNTER_BITS = 20
LAST_TIME = (1 << (63 - _COUNTER_BITS)) - 2
"""The last time in ms that a row may have, so that there is a number after all of its: the year 2248."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# The number is the next free one of its millisecond: of three that share one, all are kept, in the order they came.
_ACCESS = """
INSERT INTO accesses
SELECT coalesce((SELECT max(number) FROM accesses WHERE number >= ?1 AND number < ?2), ?1 - 1) + 1,
    ?3, ?4, ?5, ?6, ?7, ?8
WHERE NOT EXISTS (SELECT 1 FROM accesses WHERE id = ?3)
"""
_ALERT = """
INSERT INTO alerts (number, uuid, time, severity, rule, document, kind)
SELECT coalesce((SELECT max(number) FROM alerts WHERE number >= ?1 AND number < ?2), ?1 - 1) + 1,
    ?3, ?4, ?5, ?6, ?7, ?8
WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE uuid = ?3)
"""
# What was one too many becomes an alert, kept now; an alert never becomes less.
_HAS_OVERFLOW = "SELECT 1 FROM alerts WHERE kind = 'overflow' LIMIT 1"
_PROMOTE = "DELETE FROM alerts WHERE uuid = ? AND kind = 'overflow' RETURNING length(document)"
_RULE = "kibana.alert.rule"
_MOST_SHARED = 64
_SHARED: dict[int, tuple[dict[str, Any], RuleRow]] = {}

Kind = Literal["alert", "overflow", "building_block"]
"""overflow: a match beyond its rule's max_signals; never told by the document, which others may have written.
building_block: an alert for other rules to look at, not for a person.
"""


Workflow = Literal["open", "acknowledged", "closed"]
"""How far a person is with an alert, `kibana.alert.workflow_status`."""
WORKFLOW: tuple[Workflow, ...] = ("open", "acknowledged", "closed")


class AccessRow(NamedTuple):
    """A row of `accesses`, with the time in ms that its number begins with."""

    time: int
    id: bytes
    runtime: str | None
    socket: str | None
    origin: str | None
    sensor: str | None
    document: bytes


class RuleRow(NamedTuple):
    """A row of `rules`: what an alert has in `kibana.alert.rule`, by the SHA-256 of its JSON."""

    digest: bytes
    rule_id: str
    name: str
    document: bytes


class AlertRow(NamedTuple):
    """A row of `alerts`: the document without its rule; kept is when it came into the store, in ms since the epoch."""

    kept: int
    uuid: str
    time: str
    severity: str
    rule: RuleRow | None
    document: bytes
    kind: Kind = "alert"


def access_row(document: Document) -> AccessRow:
    """An access; one without a readable time takes its place among what is stored now."""
    texts = (
        get(document, f"sockwarden.{field}")
        for field in ("socket.runtime", "socket.canonical", "actor.origin", "sensor.name")
    )
    runtime, socket, origin, sensor = (_text(value) if isinstance(value, str) else None for value in texts)
    return AccessRow(
        _time_of(document),
        id_of(str(document.get("_id"))),
        runtime,
        socket,
        origin,
        sensor,
        pack(encode(document)),
    )


def alert_row(alert: Document) -> AlertRow:
    """An alert; it comes into the store now."""
    uuid = _text(str(get(alert, "kibana.alert.uuid") or ""))
    moment = _text(str(get(alert, "kibana.alert.original_time") or get(alert, "@timestamp") or ""))
    return _alert_row(uuid, moment, _text(str(get(alert, "kibana.alert.severity"))), alert)


def alert_row_of_1(uuid: str, moment: str, severity: str, document: bytes) -> AlertRow:
    """An alert of a store of schema 1, which is plain JSON; one that is damaged stays as it is."""
    try:
        alert = msgspec.json.decode(document, type=dict)
    except msgspec.DecodeError:
        return AlertRow(_now(), uuid, moment, severity, None, pack(document))
    return _alert_row(uuid, moment, severity, alert)


def _alert_row(uuid: str, moment: str, severity: str, alert: Document) -> AlertRow:
    rule = get(alert, _RULE)
    if not isinstance(rule, dict):
        return AlertRow(_now(), uuid, moment, severity, None, pack(encode(alert)))
    own, shared = _parted(alert, rule)
    row = _row_of_shared(shared) if shared is rule else _rule_row(encode(shared))
    return AlertRow(_now(), uuid, moment, severity, row, pack(encode(_with_rule(alert, own))), _kind(alert))


def _parted(alert: Document, rule: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What of the rule is this alert's own, the run and a name that the document gave; and what its others share: the
    very rule, where nothing of it is the alert's own.
    """
    own = {"execution": rule["execution"]} if "execution" in rule else {}
    shared = {key: value for key, value in rule.items() if key != "execution"} if own else rule
    if isinstance(name := get(alert, "sockwarden.alert.rule_name"), str):
        own["name"], shared = rule.get("name"), {**shared, "name": name}
    return own or None, shared


def _kind(alert: Document) -> Kind:
    return "alert" if get(alert, "kibana.alert.building_block_type") is None else "building_block"


def _row_of_shared(rule: dict[str, Any]) -> RuleRow:
    """The same without encoding it again: alerts of one detector share one rule, which nobody changes. Its number is
    the rule's as long as the rule is held.
    """
    known = _SHARED.get(id(rule))
    if known is None:
        if len(_SHARED) >= _MOST_SHARED:
            _SHARED.clear()
        known = _SHARED[id(rule)] = (rule, _rule_row(encode(rule)))
    return known[1]


@lru_cache(maxsize=256)
def _rule_row(content: bytes) -> RuleRow:
    """The row of a rule by its JSON; cached, so that alerts that wait to be written share it."""
    rule = msgspec.json.decode(content, type=dict)
    rule_id, name = (str(rule.get(key) or "") for key in ("rule_id", "name"))
    return RuleRow(hashlib.sha256(content).digest(), rule_id, name, pack(content))


def _with_rule(alert: Document, rule: dict[str, Any] | None) -> Document:
    """The alert with another rule in the same place: None keeps the place while all of it is stored elsewhere."""
    kibana = alert["kibana"]
    return {**alert, "kibana": {**kibana, "alert": {**kibana["alert"], "rule": rule}}}


def id_of(identity: str) -> bytes:
    """A document's `_id` as the store's 16 bytes: of ours, which are SHA-256 in hex, the first half."""
    try:
        digest = bytes.fromhex(identity)
    except ValueError:
        digest = b""
    return digest[:16] if len(digest) == 32 else hashlib.sha256(identity.encode("utf-8", "replace")).digest()[:16]


def first_number(milliseconds: int) -> int:
    """The least number of a row of this millisecond."""
    return max(milliseconds, 0) << _COUNTER_BITS


def time_in(number: int) -> int:
    """The millisecond of a row by its number."""
    return number >> _COUNTER_BITS


def unpack(packed: bytes, rule: bytes | None = None) -> Document:
    """The document of a row, and of its rule's. Raises zlib.error or msgspec.DecodeError when it is damaged."""
    document = _decompress(packed)
    if rule is None:
        return document
    return _with_rule(document, {**_decompress(rule), **(get(document, _RULE) or {})})


def write(
    database: sqlite3.Connection, accesses: Sequence[AccessRow], alerts: Sequence[AlertRow]
) -> tuple[list[bool], list[bool]]:
    """Keeps rows, inside a transaction; tells which accesses and which alerts are new. An alert is new too that was
    overflow before.
    """
    new_accesses = [database.execute(_ACCESS, (*_between(row.time), *row[1:])).rowcount == 1 for row in accesses]
    rules: dict[bytes | None, int | None] = {None: None}
    for rule in {row.rule.digest: row.rule for row in alerts if row.rule}.values():
        database.execute("INSERT OR IGNORE INTO rules (digest, rule_id, name, document) VALUES (?, ?, ?, ?)", rule)
        rules[rule.digest] = database.execute("SELECT number FROM rules WHERE digest = ?", (rule.digest,)).fetchone()[0]
    new_alerts, promoted = [], 0
    has_overflow = database.execute(_HAS_OVERFLOW).fetchone() is not None
    for row in alerts:
        if has_overflow and row.kind != "overflow":
            promoted += sum(length for (length,) in database.execute(_PROMOTE, (row.uuid,)).fetchall())
        has_overflow |= row.kind == "overflow"
        rule_number = rules[row.rule.digest if row.rule else None]
        values = (*_between(row.kept), row.uuid, row.time, row.severity, rule_number, row.document, row.kind)
        new_alerts.append(database.execute(_ALERT, values).rowcount == 1)
    sizes = (
        sum(len(row.document) for row in compress(accesses, new_accesses)),
        sum(len(row.document) for row in compress(alerts, new_alerts)) - promoted,
    )
    database.execute("UPDATE sizes SET accesses = accesses + ?, alerts = alerts + ?", sizes)
    return new_accesses, new_alerts


def amend(database: sqlite3.Connection, uuid: str, changed: Mapping[str, Any]) -> bool:
    """Changes fields of an alert's `kibana.alert`, each an object's part or a value; inside a transaction. False where
    there is no such alert, or its row is damaged.
    """
    found = database.execute("SELECT document FROM alerts WHERE uuid = ?", (uuid,)).fetchone()
    if found is None:
        return False
    try:
        alert = _decompress(found[0])
    except (zlib.error, msgspec.DecodeError):
        return False
    signal = get(alert, "kibana.alert")
    if not isinstance(signal, dict):
        return False
    for key, value in changed.items():
        part = signal.get(key)
        signal[key] = {**part, **value} if isinstance(part, dict) and isinstance(value, dict) else value
    document = pack(encode(alert))
    database.execute("UPDATE alerts SET document = ? WHERE uuid = ?", (document, uuid))
    database.execute("UPDATE sizes SET alerts = alerts + ?", (len(document) - len(found[0]),))
    return True


def raise_(database: sqlite3.Connection, row: AlertRow) -> None:
    """Puts an alert that is more severe now in its old one's place, inside a transaction: what a person said of that,
    and what it took in, stays. It never becomes less severe. Where there is none, or it is damaged, nothing is kept.
    """
    found = database.execute("SELECT document, severity FROM alerts WHERE uuid = ?", (row.uuid,)).fetchone()
    if found is None or SEVERITIES.index(found[1]) >= SEVERITIES.index(row.severity):
        return
    try:
        old, alert = get(_decompress(found[0]), "kibana.alert"), _decompress(row.document)
    except (zlib.error, msgspec.DecodeError):
        return
    kept = {key: value for key, value in old.items() if key.startswith("workflow_") or key == "suppression"}
    alert["kibana"]["alert"] |= kept
    document = pack(encode(alert))
    database.execute("UPDATE alerts SET severity = ?, document = ? WHERE uuid = ?", (row.severity, document, row.uuid))
    database.execute("UPDATE sizes SET alerts = alerts + ?", (len(document) - len(found[0]),))


def forget_overflow(database: sqlite3.Connection, uuid: str) -> None:
    """Removes what was one too many and is none any more, inside a transaction."""
    freed = sum(length for (length,) in database.execute(_PROMOTE, (uuid,)).fetchall())
    database.execute("UPDATE sizes SET alerts = alerts - ?", (freed,))


def _between(moment: int) -> tuple[int, int]:
    """The first number of a millisecond, and of the next."""
    return first_number(moment), first_number(moment + 1)


def pack(content: bytes) -> bytes:
    """JSON as a row has it; `unpack` reverses it."""
    compressor = _COMPRESSOR.copy()
    return compressor.compress(content) + compressor.flush()


def _decompress(packed: bytes) -> Document:
    decompressor = zlib.decompressobj(zdict=_DICTIONARY)
    return msgspec.json.decode(decompressor.decompress(packed) + decompressor.flush(), type=dict)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _text(value: str) -> str:
    """As `encode` puts it into the document: SQLite takes no lone surrogate."""
    return value.encode("utf-8", "replace").decode()


def _time_of(document: Document) -> int:
    try:
        moment = datetime.fromisoformat(str(document.get("@timestamp")))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max((moment - _EPOCH) // _MILLISECOND, 0), LAST_TIME)
    except (ValueError, OverflowError):
        return _now()
