"""The ways of request_ways.tsv to ask unnoticed, each by a real client, and what must be told of it."""

from __future__ import annotations

import csv
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import NamedTuple

from request_files import write_requests
from runtimes import WELL_KNOWN, Patience, Runtime, made
from watching import marked

from sockwarden.document import Document, get

HERE = Path(__file__).parent
LOOKALIKE = Path("/var/lib/sockwarden-test/usr/bin/dockerd")
"""A program whose path the published rule leaves out."""
OLDER = ("ask-later", "later")
"""Words of commands that begin before the watch."""
STATUS = re.compile(r"HTTP/1\.[01] (\d+) ")


class Way(NamedTuple):
    """A way. `answer` is what the daemon answered: HTTP's statuses, gRPC's codes, or - where it is not waited for."""

    way: str
    technique: str
    command: str
    answer: str
    operations: str
    risk: str
    reason: str


@dataclass
class Done:
    """A way as it was done: the process that was started, and the mark that is its last argument."""

    way: Way
    process: subprocess.Popen[str]
    mark: str
    began: float = field(default_factory=time.time)


def ways() -> list[Way]:
    with (HERE / "request_ways.tsv").open(encoding="utf-8", newline="") as lines:
        return [Way(**row) for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)]


class Asking:
    """What the commands speak of. Containers that they make are the caller's to remove."""

    def __init__(self, folder: Path, client: Path, containerd: Runtime | None) -> None:
        self.names = {
            "client": str(client),
            "asker": str(folder / "asker"),
            "lookalike": str(LOOKALIKE),
            "python": sys.executable,
            "grpc": str(HERE / "by_grpc.py"),
            "docker": str(WELL_KNOWN),
            "containerd": str(containerd.socket if containerd else ""),
            "folder": str(folder),
        }

    def begin(self, way: Way) -> Done:
        mark = f"m{secrets.token_hex(4)}"
        command = [*shlex.split(Template(way.command).substitute(self.names)), mark]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
        return Done(way, process, mark)

    def executable(self, way: Way) -> str:
        """The program that asks: of those that hand the connection on it is the other one."""
        word = "$asker" if way.command.endswith("$asker") else way.command.split()[0]
        return str(Path(Template(word).substitute(self.names)).resolve())

    @staticmethod
    def end(done: Done) -> None:
        """Waits for its end, and sees that the daemon did what it was asked."""
        printed, complained = done.process.communicate(timeout=30 * Patience.factor)
        said = f"{done.way.way}: {done.process.returncode} {printed[-1000:]!r} {complained[-1000:]!r}"
        assert done.process.returncode == 0, said
        lines = printed.replace("ready\n", "")
        got = " ".join(STATUS.findall(lines)) if "HTTP/" in lines else lines.strip()
        assert done.way.answer in ("-", got), said


@contextmanager
def asking(folder: Path, client: Path, containerd: Runtime | None) -> Iterator[Asking]:
    """The files, and the programs that are copies of the client."""
    write_requests(folder)
    with made(LOOKALIKE.parent):
        for program in (LOOKALIKE, folder / "asker"):
            shutil.copy(client, program)
        try:
            yield Asking(folder, client, containerd)
        finally:
            LOOKALIKE.unlink()


def begin_older(setting: Asking) -> list[Done]:
    """Those whose connections are older than the watch; each has said that it is ready."""
    done = [setting.begin(way) for way in ways() if set(OLDER) & set(way.command.split())]
    for one in done:
        assert one.process.stdout
        assert one.process.stdout.readline() == "ready\n", one.way.way
    return done


def do_all(setting: Asking, older: list[Done]) -> list[Done]:
    """All ways, one after another; the older ones go on first."""
    for one in older:
        one.process.send_signal(signal.SIGUSR1)
        setting.end(one)
    done = []
    for way in ways():
        if not set(OLDER) & set(way.command.split()):
            done.append(setting.begin(way))
            setting.end(done[-1])
    return [*older, *done]


def told_of(done: Done, requests: list[Document]) -> list[Document]:
    """Those of its process or of a child of it, over one connection in the order in which they began: the mark is the
    last argument of both. Requests are told once they are answered.
    """
    found = [one for one in requests if marked(one, done.mark)]
    return sorted(found, key=lambda one: int(get(one, "sockwarden.request.number")))
