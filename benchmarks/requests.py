"""What the reading of requests costs a daemon's clients, in one interleaved run.

    python benchmarks/requests.py [--rounds 5] [--mb 1024] [--quick] [--json FILE]

A dockerd of its own is asked the same three times a round: without a watch, under one that reads no requests, under one
that reads them. Asked is `GET /_ping` over one connection that stays, `GET /containers/json` over a new connection each
time, and `docker load` of an image of so many megabytes that dockerd has already: it reads all and keeps nothing new.
Needs root, dockerd and docker.
"""

from __future__ import annotations

import http.client
import io
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from results import Cell, Table, arguments, finish, number, ratio, spread, unable

SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
WATCHES = ("none", "no requests", "requests")
_PINGS, _LISTS = 1000, 300
_PAUSE = 0.005
"""Seconds between two requests: 200 a second, so that nobody waits for a processor."""
_SETTLING = 1.5


class Client(http.client.HTTPConnection):
    """HTTP over a local socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("d")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def get(self, target: str) -> None:
        self.request("GET", target)
        self.getresponse().read()


@contextmanager
def daemon(folder: Path) -> Iterator[Path]:
    path = folder / "docker.sock"
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    command += [f"--host=unix://{path}", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
        try:
            while subprocess.run(["docker", f"--host=unix://{path}", "version"], check=False, stdout=-3).returncode:
                time.sleep(0.2)
            yield path
        finally:
            process.terminate()


@contextmanager
def watching(which: str, folder: Path) -> Iterator[None]:
    if which == "none":
        yield
        return
    config, messages = folder / "config.toml", folder / "messages"
    config.touch(mode=0o600)
    config.write_text(f"[requests]\nread = {str(which == 'requests').lower()}\n", encoding="ascii")
    command = [str(SOCKWARDEN), "watch", "--sensor=ebpf", "--output=ndjson", f"--config={config}"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    with messages.open("wb") as errors, subprocess.Popen(command, stdout=-3, stderr=errors) as watch:
        while "watching by " not in messages.read_text():
            if watch.poll() is not None:
                raise SystemExit(f"the watch ended: {messages.read_text()}")
            time.sleep(0.1)
        time.sleep(_SETTLING)
        try:
            yield
        finally:
            watch.send_signal(signal.SIGINT)


def image(megabytes: int) -> bytes:
    """A root file system that does not compress."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("noise")
        entry.size = megabytes << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    return archive.getvalue()


def pings(path: Path) -> list[float]:
    client, times = Client(path), []
    for _ in range(_PINGS):
        began = time.perf_counter()
        client.get("/_ping")
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    client.close()
    return times


def lists(path: Path) -> list[float]:
    times = []
    for _ in range(_LISTS):
        began = time.perf_counter()
        client = Client(path)
        client.get("/v1.41/containers/json")
        client.close()
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE)
    return times


def loading(path: Path, saved: Path) -> list[float]:
    began = time.perf_counter()
    subprocess.run(["docker", f"--host=unix://{path}", "load", f"--input={saved}"], check=True, stdout=-3)
    return [time.perf_counter() - began]


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) * 99 // 100, len(times) - 1)]


_ASKED: dict[str, tuple[str, Callable[[list[float]], float]]] = {
    "docker load": ("load", statistics.median),
    "ping, median": ("ping", statistics.median),
    "ping, 99 of 100": ("ping", _p99),
    "list over a new connection, median": ("list", statistics.median),
    "list over a new connection, 99 of 100": ("list", _p99),
}


def table(times: dict[tuple[str, str], list[list[float]]], note: str) -> tuple[Table, dict[str, str]]:
    """By what is asked: each round's figure without a watch, and how many times as long it took with one."""
    rows: list[list[Cell]] = []
    figures: dict[str, str] = {}
    for name, (what, of) in _ASKED.items():
        found = {which: [1000 * of(each) for each in times[what, which]] for which in WATCHES}
        compared = [ratio(found[which], found["none"]) for which in WATCHES[1:]]
        rows.append([name, str(spread(found["none"])), *map(str, compared)])
        figures[f"{what}-{'p99' if of is _p99 else 'median'}-ratio"] = number(compared[-1].ratio)
    columns = ["", "ms without a watch", "times as long under a watch that reads no requests", "that reads them"]
    return Table("clients", "What a daemon's clients wait", columns, rows, note), figures


def measured(rounds: int, megabytes: int) -> dict[tuple[str, str], list[list[float]]]:
    """By what was asked and under which watch, the seconds of every request, round by round."""
    times: dict[tuple[str, str], list[list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as name, daemon(folder := Path(name)) as path:
        docker, saved = ["docker", f"--host=unix://{path}"], folder / "image.tar"
        subprocess.run([*docker, "import", "-", "noise"], input=image(megabytes), check=True, stdout=-3)
        subprocess.run([*docker, "save", f"--output={saved}", "noise"], check=True)
        for turn in range(rounds):
            begin = turn % len(WATCHES)
            for which in WATCHES[begin:] + WATCHES[:begin]:
                with tempfile.TemporaryDirectory(dir=folder) as state, watching(which, Path(state)):
                    times.setdefault(("load", which), []).append(loading(path, saved))
                    for what, of in (("ping", pings), ("list", lists)):
                        times.setdefault((what, which), []).append(of(path))
    return times


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="5; quick: 2")
    parser.add_argument("--mb", type=int, help="size of the image; 1024, quick: 64")
    given = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    if lacking := [program for program in ("dockerd", "docker") if not shutil.which(program)]:
        unable(f"{' and '.join(lacking)} is not here")
    rounds, megabytes = given.rounds or (2 if given.quick else 5), given.mb or (64 if given.quick else 1024)
    found, figures = table(measured(rounds, megabytes), f"An image of {megabytes} MB; {rounds} rounds.")
    finish(given, [found], figures=figures)


if __name__ == "__main__":
    main()
