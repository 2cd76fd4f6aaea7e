"""Downtime: from when to when no watch ran, and what the local audit log tells of that stretch.

A run notes how far it has watched; the next start reads the log from there, so that each access of the gap is judged
once. A stretch that the log does not cover is told, never passed over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import msgspec

from sockwarden.auditrecords import Record, parse_line
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.pipeline.hunt import Window
from sockwarden.pipeline.replay import Replay
from sockwarden.readers import Stream, format_of, plan
from sockwarden.sensors.audit import Rule, list_rules, read_status, rules_for
from sockwarden.sensors.audit.rule import EXIT, KEY

MOST_BYTES = 1 << 30
"""How much of the log is read at a start: the newest. Some ten seconds of work."""
_SLACK = 2.0
"""Seconds that are read beyond either end: the kernel's event clock is coarse, and what was read twice counts once."""
_SAME = timedelta(milliseconds=30)
"""Within which a record and another sensor tell of the same access: audit's clock is up to 10 ms behind."""
_CHANGES = re.compile(
    rb"^(?:node=\S+ )?type=(?:DAEMON_(?:START|END|ABORT)|CONFIG_CHANGE) msg=audit\((\d{1,11})\.\d{3}:\d+\): ?([^\n]*)",
    re.MULTILINE,
)
_BREAKS = (b"op=remove_rule", b"audit_enabled=0", b"op=start", b"op=terminate", b"op=abort")


class RunState(msgspec.Struct):
    """How far a run has watched.

    boot   the kernel's boot_id
    seen   seconds since the epoch up to which it saw everything
    ended  why it ended; empty while it runs, and for ever when it was killed
    """

    boot: str
    seen: float
    ended: str = ""

    @classmethod
    def load(cls, folder: Path) -> RunState | None:
        """What the last run left; None where there was none, or nothing readable."""
        try:
            return msgspec.json.decode((folder / "watch.json").read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, folder: Path) -> None:
        """Replaces what the last run left. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = folder / "watch.json.new"
        scratch.write_bytes(msgspec.json.encode(self))
        scratch.replace(folder / "watch.json")


def boot_id() -> str:
    """The kernel's identity of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Recording(NamedTuple):
    """Who records: the audit rules that are in place, and the pid of the auditd that writes down what they tell; 0 for
    none.
    """

    rules: list[Rule]
    auditd: int


def recording() -> Recording:
    """As it is now, whichever sensor watches; nothing where the kernel's audit cannot be asked."""
    try:
        return Recording(list_rules(), read_status().pid)
    except InputError:
        return Recording([], 0)


class Gap:
    """The stretch between the last run and this one.

    uncovered  why the log does not cover it, empty where it does; known after `documents` has ended
    """

    def __init__(self, last: RunState, until: float, *, log: Path | None, recorded: str, by_audit: bool = True) -> None:
        """log: auditd's own, None where none is known; recorded: why rules did not record all along, empty where they
        did; by_audit: this run reads records too, so that those after its beginning have the same ids.
        """
        self.last = last
        self.until = until
        self._beyond = _SLACK if by_audit else 0.0
        self._log = log
        self.uncovered = recorded

    def documents(self, replay: Replay) -> Iterator[Document]:
        """The accesses that the log has of the stretch, resolved."""
        if self._log is None:
            self._note("no auditd writes a log here")
            return
        try:
            paths = self._paths(self._log)
            for stream in plan(paths):
                with stream:
                    yield from self._of(stream, replay)
                for failure in stream.failures.values():
                    self._note(str(failure))
        except (InputError, OSError) as error:
            self._note(f"the audit log could not be read: {error}")

    def trouble(self) -> Trouble | None:
        """What to tell of a stretch that is not covered."""
        if not self.uncovered:
            return None
        how = f"the last watch ended by {self.last.ended}" if self.last.ended else "the last watch was killed"
        span = f"{_moment(self.last.seen)} to {_moment(self.until)}"
        return Trouble(
            "sensor-not-watching",
            f"Not watched from {span} ({_length(self.until - self.last.seen)}): {how}, and {self.uncovered}",
            detail=span,
        )

    def _note(self, why: str) -> None:
        self.uncovered = self.uncovered or why

    def _of(self, stream: Stream, replay: Replay) -> Iterator[Document]:
        if not stream.parts:
            return
        self._check(stream)
        window = Window(_stamp(self.last.seen - _SLACK), _stamp(self.until + self._beyond))
        yield from filter(window.holds, replay.documents(stream, format_of(stream)))

    def _paths(self, log: Path) -> list[str]:
        """The files of the rotation that reach into the stretch, the newest MOST_BYTES of them."""
        sizes = {path: path.stat() for path in log.parent.glob(f"{log.name}*") if path.is_file()}
        if log not in sizes:
            raise InputError("there is no audit log", where=str(log))
        newest = sorted(sizes, key=lambda path: sizes[path].st_mtime, reverse=True)
        within = [path for path in newest if sizes[path].st_mtime >= self.last.seen - _SLACK]
        total, kept = 0, []
        for path in within:
            total += sizes[path].st_size
            if total > MOST_BYTES:
                self._note(
                    f"the audit log of that time is larger than {MOST_BYTES >> 20} MiB; its newest part was read"
                )
                break
            kept.append(str(path))
        if not kept:
            self._note(f"nothing was written to {log} in that time")
        elif len(kept) == len(newest) and (first := _first_time(kept[-1])) and first > self.last.seen + _SLACK:
            self._note(f"the audit log begins at {_moment(first)}")
        return kept

    def _check(self, stream: Stream) -> None:
        """Whether auditd and the rules were there all the time."""
        for chunk in stream.chunks():
            for change in _CHANGES.finditer(chunk):
                inside = self.last.seen <= int(change[1]) <= self.until - 1
                if inside and any(sign in change[2] for sign in _BREAKS):
                    self._note(f"auditd or its rules were changed at {_moment(int(change[1]))}")


class ToldBefore:
    """What other sensors than audit told of the last seconds of a run, lest the log tell it again under another id.
    accesses: those that are kept, the newest first.
    """

    def __init__(self, last: RunState, accesses: Iterable[Document]) -> None:
        self._told: dict[tuple[object, object, object], list[datetime]] = {}
        begin = _stamp(last.seen - _SLACK)
        for access in takewhile(lambda access: str(access.get("@timestamp")) >= begin, accesses):
            if get(access, "sockwarden.sensor.name") != "audit":
                self._told.setdefault(_what(access), []).append(_time(access))

    def has(self, document: Document) -> bool:
        """Whether an access of the log is one of them; each is met once."""
        times = self._told.get(_what(document), [])
        same = next((time for time in times if abs(time - _time(document)) <= _SAME), None)
        if same is not None:
            times.remove(same)
        return same is not None


def _what(access: Document) -> tuple[object, object, object]:
    return get(access, "process.pid"), get(access, "event.action"), get(access, "sockwarden.socket.canonical")


def _time(access: Document) -> datetime:
    return datetime.fromisoformat(str(access["@timestamp"]))


def unrecorded(present: Iterable[Rule], paths: Iterable[str]) -> str:
    """Why the rules that were in place at a start did not record all that reached these sockets; empty where they did:
    those of a killed watch, or permanent ones.
    """
    recorded = {_unkeyed(rule) for rule in present}
    for path in sorted(paths):
        on_path = {_unkeyed(rule) for rule in rules_for(path) if rule.filter == EXIT}
        below = {_unkeyed(rule) for rule in rules_for(str(Path(path).parent), folder=True) if rule.filter == EXIT}
        if not (on_path <= recorded or below <= recorded):
            return f"no audit rules were in place for {path}"
    return ""


def _unkeyed(rule: Rule) -> Rule:
    return msgspec.structs.replace(rule, fields=tuple(field for field in rule.fields if field.kind != KEY))


def log_of(auditd: int) -> Path | None:
    """The log of the auditd that owns the kernel's audit (its pid, 0 for none): log_file of its auditd.conf(5)."""
    if not auditd:
        return None
    try:
        words = Path(f"/proc/{auditd}/cmdline").read_bytes().split(b"\0")
        folder = words[words.index(b"-c") + 1] if b"-c" in words[:-1] else b"/etc/audit"
        settings = Path(os.fsdecode(folder), "auditd.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^\s*log_file\s*=\s*(/\S+)", settings, re.MULTILINE)
    return Path(found[1] if found else "/var/log/audit/audit.log")


def _first_time(path: str) -> float | None:
    """When a log begins, in seconds since the epoch."""
    with plan([path])[0] as stream:
        for line in stream.head().split(b"\n"):
            if isinstance(record := parse_line(line), Record):
                return record.time / 1000
    return None


def _stamp(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _length(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
