"""What a sweep costs, beside tools that list who holds unix sockets, in one interleaved run.

    python benchmarks/sweep.py [--processes 500] [--descriptors 10] [--rounds 10]

So many processes are started with so many descriptors each: one in ten holds a connection to a runtime's socket, every
one a connection to another socket; the rest are pipes and files. Each round runs everything once, in turn. Printed are
medians, the spread, processor time and the ratio to `ss -xp`. The sweep is one of a watch that runs: its first, and the
later ones, which find what they know. Needs root. A tool that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sockwarden.sensors.sweep import Sweep
from sockwarden.sockets import Listener, LiveSocket, RuntimeSocket

_BUSY = """\
import os, signal, socket, sys
runtime, other, processes, descriptors = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
for number in range(processes):
    if not os.fork():
        ones = [socket.socket(socket.AF_UNIX) for _ in range(1 + (number % 10 == 0))]
        for one, address in zip(ones, (other, runtime)):
            one.connect(address)
        more = [os.dup(0) for _ in range(descriptors - 3 - len(ones))]
        os.write(1, b".")
        signal.pause()
os.write(1, b"!")
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""
_TOOLS = {"ss -xp": ["ss", "-xp"], "lsof -U": ["lsof", "-n", "-P", "-U"]}
Spent = tuple[float, float]
"""Seconds by the clock, and of the processor."""


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        one.listen(4096)
        yield one


@contextmanager
def busy(folder: Path, processes: int, descriptors: int) -> Iterator[LiveSocket]:
    """The processes; gives the runtime's socket, whose daemon this process is."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as kept:
        runtime, other = (kept.enter_context(listening(folder / name)) for name in ("runtime.sock", "other.sock"))
        command = [sys.executable, "-c", _BUSY, str(folder / "runtime.sock"), str(folder / "other.sock")]
        crowd = kept.enter_context(
            subprocess.Popen(
                [*command, str(processes), str(descriptors)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        )
        if not crowd.stdout or not crowd.stdin:
            raise SystemExit("no pipes")
        for listener, connections in ((other, processes), (runtime, (processes + 9) // 10)):
            for _ in range(connections):
                kept.enter_context(listener.accept()[0])
        crowd.stdout.read(processes + 1)
        listeners = (Listener(os.getpid(), sys.executable),)
        named = RuntimeSocket(str(folder / "runtime.sock"), "docker", "Docker Engine API")
        inode = os.fstat(runtime.fileno()).st_ino
        yield LiveSocket(named, "path", "catalogue", True, generation=inode, listeners=listeners)
        crowd.stdin.close()


def spent(act: Callable[[], object]) -> Spent:
    def processor() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    began, before = time.perf_counter(), processor()
    act()
    return time.perf_counter() - began, processor() - before


def measure(live: LiveSocket, rounds: int) -> dict[str, list[Spent]]:
    tools = {name: command for name, command in _TOOLS.items() if shutil.which(command[0])}
    for name in _TOOLS.keys() - tools.keys():
        print(f"{name} is not installed")
    kept = Sweep()
    held = kept.look([live])
    print(f"held        {len(held):>9,} connections to the runtime's socket, {kept.limits or 'nothing left out'}")
    times: dict[str, list[Spent]] = {}
    for _ in range(rounds):
        times.setdefault("a watch's first sweep", []).append(spent(lambda: Sweep().look([live])))
        times.setdefault("a later sweep", []).append(spent(lambda: kept.look([live])))
        for name, command in tools.items():
            run = spent(lambda command=command: subprocess.run(command, stdout=-3, stderr=-3, check=False))  # type: ignore[misc]
            times.setdefault(name, []).append(run)
    return times


def report(times: dict[str, list[Spent]]) -> None:
    base = statistics.median(seconds for seconds, _ in times.get("ss -xp", times["a later sweep"]))
    for name, each in times.items():
        clock, processor = ([one[part] * 1000 for one in each] for part in (0, 1))
        median = statistics.median(clock)
        print(
            f"{name:<22} {median:>7.1f} ms ({min(clock):.1f} to {max(clock):.1f}), "
            f"processor {statistics.median(processor):>6.1f} ms, {median / 1000 / base:.2f} of ss -xp"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="A sweep beside ss and lsof.")
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--descriptors", type=int, default=10, help="of each process")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    machine = f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}")
    with (
        tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as folder,
        busy(Path(folder), options.processes, options.descriptors) as live,
    ):
        report(measure(live, options.rounds))


if __name__ == "__main__":
    main()
