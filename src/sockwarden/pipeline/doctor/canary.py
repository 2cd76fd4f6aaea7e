"""The canary: this process connects to each runtime socket itself, and its own audit record must come.

It listens on audit's multicast group beside whoever else does. While a watch by audit runs, the access must be in its
store too. The eBPF sensor's canary is in `trial`.
"""

from __future__ import annotations

import os
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sockwarden.auditrecords import Assembler, Event, Rejected, parse_datagram
from sockwarden.errors import SockwardenError
from sockwarden.pipeline.doctor.finding import Finding
from sockwarden.sensors.audit.privilege import open_socket
from sockwarden.sockets import LiveSocket
from sockwarden.store import Store

PATIENCE = 2.0
"""Seconds to wait for the records; the kernel sends them within milliseconds."""
STORE_PATIENCE = 3.0
"""Seconds to wait for the access in the store, into which a watch writes twice a second."""

USE_ITS_STORE = (
    "Is that the watch's own store? Else name it with --state. What the watch says: journalctl -u sockwarden"
)

_READLOG = 1
"""AUDIT_NLGRP_READLOG as a bit of the groups to join (include/uapi/linux/audit.h)."""
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20
_MOST_BYTES = 1 << 16
_LONGEST = 107
"""Bytes of a path that a connect can carry (struct sockaddr_un)."""


class Sight(msgspec.Struct):
    """What became of one try.

    place     device and inode of the socket file
    identity  `_id` of the access, as a watch keeps it; empty: no record came
    key       of the rule that recorded it, empty for a rule without one
    refused   why the connect failed, empty where it did not; also a refused one is recorded
    """

    path: str
    place: tuple[str, int]
    identity: str = ""
    key: str = ""
    refused: str = ""


def attempt(sockets: Sequence[LiveSocket]) -> list[Sight]:
    """Connects to each socket that has a path, and gives what was seen of it."""
    with open_socket(nonblocking=True) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        listening.bind((0, _READLOG))
        sights = [
            Sight(live.path, (live.device, live.inode), refused=connect(live.path))
            for live in sockets
            if live.path and len(os.fsencode(live.path)) <= _LONGEST
        ]
        missing = {sight.place: sight for sight in sights}
        for event in _events(listening, time.monotonic() + PATIENCE):
            for place in _reached(event):
                if sight := missing.pop(place, None):
                    sight.identity, sight.key = event.digest(), _key(event)
            if not missing:
                break
    return sights


def stored(sights: Sequence[Sight], state: Path) -> set[str]:
    """The `_id`s that a watch has put into its store. Raises InputError where the store cannot be read."""
    wanted = {sight.identity for sight in sights if sight.identity}
    end = time.monotonic() + STORE_PATIENCE
    with Store(state, create=False, wait=1) as store:
        while (found := store.has_access(wanted)) != wanted and time.monotonic() < end:
            select.select([], [], [], 0.1)
    return found


@contextmanager
def announced(runtime: Path | None) -> Iterator[None]:
    """Says in the runtime folder which process the canary is, so that a watch keeps what it does without an
    alert. None where no watch runs.
    """
    if runtime is None:
        yield
        return
    file = runtime / "canary"
    start = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, flags, 0o600), "wb") as out:
            out.write(msgspec.json.encode({"pid": os.getpid(), "start": start}))
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def judge(sights: Sequence[Sight], *, expected: set[str], watching: bool, state: Path) -> Iterator[Finding]:
    """One finding for each try.

    expected: paths whose access should be recorded, since a rule for them is or ought to be in place.
    """
    kept: set[str] = set()
    trouble = ""
    if watching:
        try:
            kept = stored(sights, state)
        except SockwardenError as error:
            trouble = str(error).replace("\n", ": ")
    for sight in sights:
        yield _finding(sight, sight.path in expected, watching, sight.identity in kept, trouble)


def _finding(sight: Sight, expected: bool, watching: bool, kept: bool, trouble: str) -> Finding:
    name = f"canary {sight.path}"
    told = tried(sight.refused)
    if not sight.identity:
        if expected or watching:
            return Finding(
                name,
                "fail",
                f"{told}: no audit record came within {PATIENCE:.0f} s, though a rule should be in place",
                "See the lines on audit and its rules above; a running watch puts its rules back within seconds.",
            )
        return Finding(name, "warn", "no watch and no rules: not watched")
    by = f"rule with key {sight.key}" if sight.key else "a rule without a key"
    if not watching:
        return Finding(name, "ok", f"{told}: recorded, by {by}; no watch runs that would judge it")
    if kept:
        return Finding(name, "ok", f"{told}: recorded, by {by}, and kept by the watch (audit)")
    return Finding(
        name,
        "fail",
        f"{told}: recorded, by {by}, but not in the watch's store after {STORE_PATIENCE:.0f} s"
        + (f" ({trouble})" if trouble else ""),
        USE_ITS_STORE,
    )


def tried(refused: str) -> str:
    """What was done, in words. refused: why the connect failed, empty where it did not."""
    return f"own connect ({refused})" if refused else "own connect"


def connect(path: str) -> str:
    """Connects and lets go at once; why it was refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
        try:
            client.connect(path)
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def _events(listening: socket.socket, end: float) -> Iterator[Event]:
    """The events of this process, as far as they come before a moment of time.monotonic()."""
    assembler = Assembler()
    while (left := end - time.monotonic()) > 0:
        if not select.select([listening], [], [], left)[0]:
            return
        try:
            datagram, sender = listening.recvfrom(_MOST_BYTES)
        except OSError:
            continue
        record = parse_datagram(datagram) if sender[0] == 0 else None
        if record is None or isinstance(record, Rejected):
            continue
        for event in assembler.push(record):
            call = event.first("SYSCALL")
            if call and f" pid={os.getpid()} ".encode() in call.body:
                yield event


def _reached(event: Event) -> Iterator[tuple[str, int]]:
    for record in event.all("PATH"):
        if place := re.search(rb" inode=(\d+) dev=([0-9a-f:]+) ", record.body):
            yield place[2].decode(), int(place[1])


def _key(event: Event) -> str:
    call = event.first("SYSCALL")
    found = re.search(rb' key="([^"]*)"', call.body) if call else None
    return found[1].decode("utf-8", "backslashreplace") if found else ""
