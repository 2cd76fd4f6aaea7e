"""What a watch takes and loses under a steady stream of accesses, by either sensor.

    python benchmarks/watch.py [--seconds 10] [--rates 5 100 500] [--sensors ebpf audit] [--quick] [--json FILE]

One process connects to a socket of its own over and over, paced to a rate; a client that is a process of its own each
time would measure fork and exec instead. Needs root, and changes the kernel's audit while it runs, as the watch does.
Start is the time until the watch says that it watches. Latency is from a connect, by the kernel's coarse clock (up to
4 ms behind), to the line on standard output. What is not told is counted, or lost and said to be.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from results import Axis, Cell, Plot, Series, Table, arguments, finish, number, unable

SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
FOLDER = Path("/run/user/sockwarden-benchmark")
"""The catalogue knows a docker.sock below /run/user as a rootless daemon's."""
_ADDRESS = bytes(FOLDER / "docker.sock")
LOST = "a0f2b7c8-5d43-4e19-8b6a-31e9d2c4f706"
_BURST = 0.005
"""Seconds between bursts: 10 connects each at 2,000 a second."""


class Reader:
    """Reads the alerts as they come: how many, how late, and what was told of loss."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.alerts = 0
        self.late: list[float] = []
        self.told: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._lines:
            now = time.time()
            if LOST.encode() in line:
                self.told.append(json.loads(line)["message"])
            elif _ADDRESS in line and (stamp := re.search(rb'"@timestamp":"([^"]+)"', line)):
                self.alerts += 1
                self.late.append(now - datetime.fromisoformat(stamp[1].decode()).timestamp())

    def join(self) -> None:
        self._thread.join()


class Usage:
    """Processor time and memory of a process, looked at once a second."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        self.resident: list[int] = []

    def seconds(self) -> float:
        """User and system time so far."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self) -> None:
        found = re.search(r"VmRSS:\s+(\d+)", (self._proc / "status").read_text())
        self.resident.append(int(found[1]) if found else 0)


def send(listener: socket.socket, accesses: int, rate: int, usage: Usage) -> float:
    """Connects so many times at that rate; the seconds that it took. Being late is caught up at once."""
    address = listener.getsockname()
    began = look = time.monotonic()
    for place in range(accesses):
        if rate and (ahead := began + place / rate - time.monotonic()) > 0:
            time.sleep(max(ahead, _BURST))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address)
            listener.accept()[0].close()
        if (now := time.monotonic()) >= look:
            look = now + 1
            usage.sample()
    return time.monotonic() - began


def stored(state: Path) -> int:
    with closing(sqlite3.connect(state / "sockwarden.db")) as store:
        found = store.execute("SELECT count(*) FROM accesses WHERE socket = ?", [_ADDRESS.decode()])
        return int(found.fetchone()[0])


class Measured(NamedTuple):
    """A run of a watch.

    start, took, spent  seconds until it watched, of sending, of its processor time while it was sent to
    stored              accesses in its store
    memory              MiB resident at most
    """

    accesses: int
    start: float
    took: float
    spent: float
    stored: int
    memory: float
    reader: Reader


def measure(listener: socket.socket, accesses: int, rate: int, sensor: str, folder: Path) -> Measured:
    command = [str(SOCKWARDEN), "watch", f"--sensor={sensor}", "--output=ndjson"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    began, messages = time.monotonic(), folder / "messages"
    with messages.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as watch:
        reader, usage = Reader(watch.stdout or ()), Usage(watch.pid)
        while b"\nwatching" not in b"\n" + messages.read_bytes():
            if watch.poll() is not None:
                reader.join()
                raise SystemExit(f"the watch ended: {messages.read_text()}")
            time.sleep(0.01)
        start, spent = time.monotonic() - began, usage.seconds()
        took = send(listener, accesses, rate, usage)
        quiet, seen = time.monotonic(), -1
        while time.monotonic() < quiet + 2:  # until nothing has come for two seconds
            if reader.alerts != seen:
                quiet, seen = time.monotonic(), reader.alerts
            time.sleep(0.1)
        usage.sample()
        spent = usage.seconds() - spent
        watch.send_signal(signal.SIGINT)
        reader.join()
    return Measured(accesses, start, took, spent, stored(folder / "state"), max(usage.resident) / 1024, reader)


def row(sensor: str, rate: int, found: Measured) -> list[Cell]:
    late = statistics.quantiles(found.reader.late, n=100) if len(found.reader.late) > 1 else [float("nan")] * 99
    told = "; ".join(found.reader.told) or "-"
    cost = 1e6 * found.spent / found.accesses
    share = 100 * found.spent / found.took
    whole: list[Cell] = [sensor, rate, found.accesses, found.stored, cost, share, found.memory]
    return [*whole, late[49] * 1000, late[98] * 1000, found.start, told]


def rows(door: socket.socket, rates: list[int], sensors: list[str], seconds: int) -> list[list[Cell]]:
    lines = []
    for rate in rates:
        for sensor in sensors:
            with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as work:
                lines.append(row(sensor, rate, measure(door, rate * seconds, rate, sensor, Path(work))))
    return lines


def plots(lines: list[list[Cell]], sensors: list[str]) -> list[Plot]:
    by_rate = []
    for name, title, unit, place in (
        ("cost", "What an access costs", "µs", 4),
        ("latency", "Latency, median", "ms", 7),
    ):
        points = {
            sensor: [(float(str(line[1])), *[float(str(line[place]))] * 3) for line in lines if line[0] == sensor]
            for sensor in sensors
        }
        series = [Series(sensor, each) for sensor, each in points.items()]  # type: ignore[arg-type]
        by_rate.append(Plot(name, title, Axis("accesses a second", log=True), Axis(unit, log=True), series))
    return by_rate


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, help="of each rate; 10, quick: 2")
    parser.add_argument("--rates", type=int, nargs="+", default=[5, 100, 500, 1000, 2000], help="accesses a second")
    parser.add_argument("--sensors", nargs="+", default=["ebpf", "audit"], help="as `watch` has them")
    given = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    made = [folder for folder in (FOLDER, FOLDER.parent) if not folder.exists()]
    FOLDER.mkdir(parents=True)
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(FOLDER / "docker.sock"))
            door.listen(64)
            lines = rows(door, given.rates, given.sensors, given.seconds or (2 if given.quick else 10))
    finally:
        (FOLDER / "docker.sock").unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()
    columns = ["sensor", "a second", "sent", "stored", "µs an access", "% of a processor", "memory, MiB"]
    columns += ["latency, ms", "99 of 100", "start, s", "told of loss"]
    figures = {}
    for line in lines:
        for name, place in (("us", 4), ("percent", 5), ("latency-ms", 7), ("p99-ms", 8), ("start", 9)):
            figures[f"{line[0]}-{line[1]}-{name}"] = number(float(str(line[place])))
    finish(given, [Table("rates", "By accesses a second", columns, lines)], plots(lines, given.sensors), figures)


if __name__ == "__main__":
    main()
