"""From a source's documents to judged accesses: resolve, enrich, judge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from sockwarden.detect import Engine
from sockwarden.document import Document, get, put
from sockwarden.enrich import Moment
from sockwarden.enrich.who import Who
from sockwarden.pipeline.graded import grade_request, redact
from sockwarden.pipeline.source import RequestSource, Told
from sockwarden.sockets import Resolver
from sockwarden.sockets.inventory import Inventory


class Judged(NamedTuple):
    """An access to a runtime socket, and the alerts that it makes."""

    access: Document
    alerts: list[Document]


class _Canary(msgspec.Struct):
    """What `sockwarden doctor` leaves in the runtime folder while it tries whether an access is seen: its pid, and its
    start in clock ticks since boot (field 22 of /proc/PID/stat).
    """

    pid: int
    start: int


class Live:
    """Judges what comes in.

    elsewhere  connects and opens of other sockets, which a source may tell of too
    """

    def __init__(
        self,
        resolver: Resolver,
        who: Who,
        engine: Callable[[], Engine],
        runtime: Path,
        inventory: Callable[[], Inventory],
        requests: RequestSource | None = None,
    ) -> None:
        self._inventory = inventory
        self.resolver = resolver
        self._who = who
        self._engine = engine
        self._requests = requests
        self._canary = runtime / "canary"
        self.elsewhere = 0

    def accesses(self, told: Iterable[Told]) -> Iterator[Judged]:
        """Those of these accesses that reach a runtime socket."""
        for document, moment in told:
            # A request has what its access had.
            if get(document, "sockwarden.socket.runtime") is None:
                self.resolver.resolve(document)
            if reaches(document):
                yield self.judge(document, moment)
            else:
                self.elsewhere += 1

    def judge(self, document: Document, moment: Moment | None = None) -> Judged:
        """One resolved access. What sockwarden does itself is marked, kept and not judged."""
        document["host"] = {**local_host(), **(get(document, "host") or {})}
        self._who.enrich(document, moment)
        redact(document)
        if get(document, "sockwarden.request"):
            grade_request(document, self._inventory())
        elif self._requests:
            self._requests.remember(document, moment)
        if own := self._own(document):
            put(document, "sockwarden.own", own)
            return Judged(document, [])
        return Judged(document, list(self._engine().judge(document)))

    def _own(self, document: Document) -> str | None:
        """`watch` where this process did it, `canary` where the doctor did."""
        pid = get(document, "process.pid")
        if pid == os.getpid():
            return "watch"
        return "canary" if isinstance(pid, int) and self._is_canary(pid) else None

    def _is_canary(self, pid: int) -> bool:
        # Asked of each access, and there is hardly ever one.
        if not os.access(self._canary, os.F_OK):
            return False
        try:
            canary = msgspec.json.decode(self._canary.read_bytes(), type=_Canary)
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (OSError, msgspec.DecodeError):
            return False
        return canary.pid == pid and stat.rpartition(b")")[2].split()[19] == str(canary.start).encode()


@cache
def local_host() -> dict[str, str]:
    """ECS host.name and, where machine-id(5) has one, host.id of this machine."""
    host = {"name": os.uname().nodename}
    with suppress(OSError):
        host["id"] = Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()[:64]
    return {key: value for key, value in host.items() if value}


def reaches(document: Document) -> bool:
    """Whether a resolved document is an access to a runtime socket, or may be one."""
    return (
        get(document, "sockwarden.socket.runtime") is not None or get(document, "sockwarden.socket.alias") == "unknown"
    )
