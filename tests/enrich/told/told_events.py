"""Process events as a program in the kernel tells them, for sequences that were recorded by tracepoints of Linux 6.18
(task_newtask, sched_process_exec, task_rename, cgroup_attach_task, sched_process_exit) with runc 1.1.5 and crun 1.8.1.
The processes have ids that /proc never has: whatever is known of them was told.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sockwarden.document import Document, get
from sockwarden.enrich import Moment, ProcessEvent, installed
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.process import Process
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.procfs import Program, Surroundings
from sockwarden.enrich.who import Who

NOBODY = 2**22 + 1
"""Above the greatest pid_max, so that /proc never has it."""
ID = "ab" * 32
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "name=systemd")
V1_HOST = "\n".join(f"{9 - at}:{name}:/user.slice" for at, name in enumerate(CONTROLLERS)) + "\n0::/user.slice"
V1_MOVES = [f"{9 - at}:{name}:/docker/{ID}" for at, name in enumerate(CONTROLLERS)]
V2_HOST, V2_MOVES = "0::/user.slice", [f"0::/system.slice/docker-{ID}.scope"]
INNER_MOUNT, INNER_PIDS = 4026532800, 4026532803


class Kernel:
    """Tells a cache of what happens, each a microsecond after the last, and asks who would have made an access now."""

    def __init__(self, *, unified: bool = True) -> None:
        self.containers = Containers()
        self.cache = ProcessCache(self.containers)
        self.who = Who(self.cache, self.containers)
        self.now = time.monotonic_ns()
        self.starts: dict[int, int] = {}
        self.moves = V2_MOVES if unified else V1_MOVES
        host = self.cache.host
        self.host = Surroundings(V2_HOST if unified else V1_HOST, host.mount, host.pids)
        self.inside = Surroundings(self.moves[-1], INNER_MOUNT, INNER_PIDS)

    def fork(self, pid: int, parent: int, around: Surroundings | None = None, *, caller: int = 0) -> None:
        self.now += 1000
        self.starts[pid] = self.now - 400
        where = self.host if around is None else around
        self._tell("fork", pid, parent=parent, caller=caller or parent, around=where)

    def exec(
        self, pid: int, executable: str | None, *args: str, around: Surroundings | None = None, user: int = 0
    ) -> None:
        command = b"".join(each.encode() + b"\0" for each in args)
        self._tell(
            "exec",
            pid,
            name=(args[0] if args else "?").rpartition("/")[2][:15],
            program=Program(executable, command, "/srv", user, len(args)),
            file=file_of(executable),
            around=self.host if around is None else around,
        )

    def comm(self, pid: int, name: str) -> None:
        self._tell("comm", pid, name=name)

    def exit(self, pid: int) -> None:
        self._tell("exit", pid)

    def move(self, pid: int, *lines: str) -> None:
        for line in lines or self.moves:
            self._tell("cgroup", pid, around=Surroundings(line))

    def _tell(self, kind: str, pid: int, **more: object) -> None:
        self.now += 1000
        event = ProcessEvent(kind, pid, self.now, start=self.starts[pid], **more)  # type: ignore[arg-type]
        self.cache.feed([event])

    def moment(self, pid: int) -> Moment:
        return Moment(pid, self.starts[pid], self.now)

    def process(self, pid: int) -> Process:
        found = self.cache.find(self.moment(pid))
        assert found
        return found

    def access(self, pid: int, **more: object) -> Document:
        """What an access now would gain; `more` is what the sensor itself tells in `sockwarden.process`."""
        self.now += 1000
        document: Document = {"@timestamp": "2026-01-01T00:00:00.000Z", "process": {"pid": pid}}
        document["sockwarden"] = {"process": more} if more else {}
        self.who.enrich(document, self.moment(pid))
        return document

    def origin(self, pid: int) -> str:
        """Origin, what it rests on, and the container."""
        document = self.access(pid)
        words = [get(document, "sockwarden.actor.origin"), get(document, "sockwarden.actor.evidence")]
        identity = get(document, "container.id")
        return " ".join([*words, *([identity] if identity else [])])


def file_of(executable: str | None) -> tuple[str, int]:
    """Device, in the kernel's encoding, and inode of a host's file; of one that is not there, some."""
    try:
        status = Path(executable or "").stat()
    except OSError:
        return "00:2f", 4711
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}", status.st_ino


def runtime(name: str) -> str:
    """Where the host's runc or crun is, which root alone may write."""
    for folder in ("/usr/bin", "/usr/sbin", "/usr/local/bin"):
        path = f"{folder}/{name}"
        if installed.of_file(os.getpid(), path, file_of(path), time.monotonic_ns()):
            return path
    pytest.skip(f"no {name} that root alone may write, on a file system whose numbers are plain")
