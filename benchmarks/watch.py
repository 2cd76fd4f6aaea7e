"""What a watch takes and loses under a steady stream of accesses.

    python benchmarks/watch.py [--rate 2000] [--seconds 30] [--accesses N] [--sensor ebpf|audit]

One process connects to a socket of its own over and over, paced to the rate (0: as fast as it can); a client that is a
process of its own each time would measure fork and exec instead. Needs root, and changes the kernel's audit while it
runs, as the watch does. Printed are: accesses sent, alerts printed and accesses stored; what was lost, and whether the
watch said so; processor time and memory of the watch; the time from a connect, by the kernel's coarse clock (up to 4 ms
behind), to the line on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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
    for number in range(accesses):
        if rate and (ahead := began + number / rate - time.monotonic()) > 0:
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


def kernel_lost() -> int:
    status = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"^lost (\d+)", status, re.MULTILINE)
    return int(found[1]) if found else 0


def measure(listener: socket.socket, accesses: int, rate: int, sensor: str, folder: Path) -> None:
    command = [str(SOCKWARDEN), "watch", f"--sensor={sensor}", "--output=ndjson"]
    command += [f"--state={folder}/state", f"--runtime-dir={folder}/run"]
    lost, messages = kernel_lost(), folder / "messages"
    with messages.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as watch:
        reader, usage = Reader(watch.stdout or ()), Usage(watch.pid)
        while b"\nwatching" not in b"\n" + messages.read_bytes():
            if watch.poll() is not None:
                raise SystemExit(f"the watch ended: {messages.read_text()}")
            time.sleep(0.1)
        spent = usage.seconds()
        took = send(listener, accesses, rate, usage)
        quiet, seen = time.monotonic(), -1
        while time.monotonic() < quiet + 3:  # until nothing has come for three seconds
            if reader.alerts != seen:
                quiet, seen = time.monotonic(), reader.alerts
            time.sleep(0.1)
        usage.sample()
        spent = usage.seconds() - spent
        watch.send_signal(signal.SIGINT)
        reader.join()
    report(accesses, took, spent, usage, reader)
    print(f"stored      {stored(folder / 'state'):>9,}")
    print(f"lost        {kernel_lost() - lost:>9,} by the kernel's count; alerts of loss: {reader.told}")
    print(f"the watch ended with {watch.returncode} and said:\n{messages.read_text()}")


def report(accesses: int, took: float, spent: float, usage: Usage, reader: Reader) -> None:
    machine = f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}")
    print(f"sent        {accesses:>9,} in {took:.1f} s, {accesses / took:,.0f} a second")
    print(f"alerts      {reader.alerts:>9,} lines")
    print(f"processor   {spent:>9.1f} s, {100 * spent / took:.0f} % of one; {1e6 * spent / accesses:.0f} µs an access")
    first, last, most = usage.resident[0], usage.resident[-1], max(usage.resident)
    print(f"memory      {first:>9,} KiB at first, {last:,} at last, {most:,} at most")
    if len(reader.late) > 1:
        percent = statistics.quantiles(reader.late, n=100)
        print(f"latency     {percent[49] * 1000:>9.0f} ms median, {percent[98] * 1000:.0f} ms for 99 of 100")


def main() -> None:
    parser = argparse.ArgumentParser(description="A watch under load.")
    parser.add_argument(
        "--rate", type=int, default=2000, help="accesses a second; 0 for as many as possible, with --accesses"
    )
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--accesses", type=int, help="how many, whatever the seconds")
    parser.add_argument("--sensor", default="auto", help="as `watch` has it")
    options = parser.parse_args()
    accesses = options.accesses or options.rate * options.seconds
    if accesses < 1:
        parser.error("--rate 0 needs --accesses")
    made = [folder for folder in (FOLDER, FOLDER.parent) if not folder.exists()]
    FOLDER.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as work, socket.socket(socket.AF_UNIX) as door:
            door.bind(str(FOLDER / "docker.sock"))
            door.listen(64)
            measure(door, accesses, options.rate, options.sensor, Path(work))
    finally:
        (FOLDER / "docker.sock").unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


if __name__ == "__main__":
    main()
