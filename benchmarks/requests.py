"""What a watch, and its reading of requests, costs a daemon's clients, in one interleaved run.

    python benchmarks/requests.py [--rounds 5] [--mb 1000] [--quick] [--json FILE]

A dockerd of its own is asked the same three times a round: without a watch, under one that reads no requests, under one
that reads them. Asked is `GET /_ping` over one connection that stays, `GET /containers/json` over a new connection each
time, and `docker load` of an image of so many megabytes that dockerd has already: it reads all and keeps nothing new.
The 99th percentile is of a round's requests; ratios are to the same round without a watch. Needs root, dockerd, docker.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from results import Cell, Table, arguments, finish, interleave, number, ratio, spread, unable
from watches import CannotWatchError, started

_NONE, _UNREAD, _READ = "no watch", "a watch that reads no requests", "a watch that reads requests"
_NAMES = {_UNREAD: "unread", _READ: "read"}
"""As figures are named."""
_PAUSE = 0.005
"""Seconds between two requests: 200 a second, so that nobody waits for a processor."""
_SETTLING = 1.5
_BEGINS = 30
"""Seconds that a dockerd may take to begin."""


class Times(NamedTuple):
    """Of a round under one watch: seconds of the load, of each ping and of each list."""

    load: float
    pings: list[float]
    lists: list[float]


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
    over = time.monotonic() + _BEGINS
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while docker(path, "version", check=False):
                if process.poll() is not None or time.monotonic() > over:
                    unable("dockerd does not begin")
                time.sleep(0.2)
            yield path
        finally:
            process.terminate()


def docker(path: Path, *words: str, check: bool = True) -> int:
    command = ["docker", f"--host=unix://{path}", *words]
    return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


class Noise:
    """A file of random bytes that was never written."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int) -> bytes:
        given = os.urandom(min(size, self._left))
        self._left -= len(given)
        return given


def saved(path: Path, folder: Path, megabytes: int) -> Path:
    """An image that does not compress, as `docker save` wrote it; the daemon has it too."""
    root, image = folder / "root.tar", folder / "image.tar"
    entry = tarfile.TarInfo("noise")
    entry.size = megabytes * 1_000_000
    with tarfile.open(root, mode="w") as tar:
        tar.addfile(entry, cast(BinaryIO, Noise(entry.size)))
    docker(path, "import", str(root), "noise")
    root.unlink()
    docker(path, "save", f"--output={image}", "noise")
    return image


def asked(path: Path, requests: int) -> tuple[list[float], list[float]]:
    """Seconds of each ping, over one connection, and of each list, over its own."""
    pings, lists = [], []
    client = Client(path)
    for _ in range(requests):
        time.sleep(_PAUSE)
        began = time.perf_counter()
        client.get("/_ping")
        pings.append(time.perf_counter() - began)
    client.close()
    for _ in range(requests):
        time.sleep(_PAUSE)
        began = time.perf_counter()
        client = Client(path)
        client.get("/v1.41/containers/json")
        client.close()
        lists.append(time.perf_counter() - began)
    return pings, lists


def measure(path: Path, image: Path, requests: int) -> Times:
    began = time.perf_counter()
    docker(path, "load", f"--input={image}")
    return Times(time.perf_counter() - began, *asked(path, requests))


def under(which: str, path: Path, image: Path, requests: int) -> Times:
    if which == _NONE:
        return measure(path, image, requests)
    config = f"[requests]\nread = {str(which == _READ).lower()}\n"
    with (
        tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as state,
        started(Path(state) / "watch", "ebpf", config) as watch,
    ):
        watch.until_ready()
        time.sleep(_SETTLING)
        return measure(path, image, requests)


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def compared(found: dict[str, list[Times]], note: str) -> tuple[Table, dict[str, str]]:
    """What clients waited, and how much longer than without a watch."""
    rows: list[list[Cell]] = []
    figures: dict[str, str] = {}
    for name, title, of in (
        ("load", "docker load", lambda one: one.load),
        ("ping-median", "GET /_ping, median", lambda one: statistics.median(one.pings)),
        ("ping-p99", "GET /_ping, p99", lambda one: p99(one.pings)),
        ("list-median", "GET /containers/json, median", lambda one: statistics.median(one.lists)),
        ("list-p99", "GET /containers/json, p99", lambda one: p99(one.lists)),
    ):
        values = {which: [1000 * of(one) for one in each] for which, each in found.items()}
        for which, each in values.items():
            to = ratio(each, values[_NONE])
            rows.append([title, which, str(spread(each)), str(to)])
            if which in _NAMES:
                figures[f"{name}-{_NAMES[which]}"] = number(to.ratio)
    columns = ["asked", "under", "ms", "times as long as without"]
    return Table("clients", "What a daemon's clients wait", columns, rows, note), figures


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="5; quick: 3")
    parser.add_argument("--mb", type=int, help="of the image: 1000; quick: 64")
    given = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    if lacking := [tool for tool in ("dockerd", "docker") if not shutil.which(tool)]:
        unable(f"no {' and no '.join(lacking)}")
    rounds, megabytes = given.rounds or (3 if given.quick else 5), given.mb or (64 if given.quick else 1000)
    requests = 100 if given.quick else 500
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as name, daemon(folder := Path(name)) as path:
        image = saved(path, folder, megabytes)
        contenders = {which: partial(under, which, path, image, requests) for which in (_NONE, _UNREAD, _READ)}
        try:
            found = interleave(contenders, rounds)
        except CannotWatchError as error:
            unable(f"no watch by eBPF: {error}")
    note = f"An image of {megabytes:,} MB; {rounds} rounds of {requests} requests of each kind, 200 a second."
    table, figures = compared(found, note)
    finish(given, [table], figures=figures)


if __name__ == "__main__":
    main()
