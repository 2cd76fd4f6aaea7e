"""What a sweep costs, beside tools that list who holds unix sockets, in one interleaved run.

    python benchmarks/sweep.py [--processes 500] [--descriptors 10] [--rounds 10] [--quick] [--json FILE]

So many processes are started with so many descriptors each: one in ten holds a connection to a runtime's socket, every
one a connection to another socket; the rest are pipes and files. The sweep is one of a watch that runs: its first, and
the later ones, which find what they know. Needs root. A tool that is not installed is named and left out.
"""

from __future__ import annotations

import os
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
from functools import partial
from pathlib import Path

from results import Cell, Table, arguments, finish, interleave, number, ratio, spread, unable

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
_FIRST, _LATER = "a watch's first sweep", "a later sweep"
_TOOLS = {"ss -xp": ["ss", "-xp"], "lsof -U": ["lsof", "-n", "-P", "-U"]}
_NAMES = {_FIRST: "first", _LATER: "later", "ss -xp": "ss", "lsof -U": "lsof"}
"""As figures are named."""
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


def measure(live: LiveSocket, rounds: int) -> tuple[dict[str, list[Spent]], str]:
    """What each contender spent in each round, and what was held and left out meanwhile."""
    tools = {name: command for name, command in _TOOLS.items() if shutil.which(command[0])}
    kept = Sweep()
    held = kept.look([live])
    said = [f"{len(held):,} connections to the runtime's socket were held; {kept.limits or 'nothing was left out'}."]
    said += [f"{name} is not installed here." for name in _TOOLS.keys() - tools.keys()]
    contenders = {_FIRST: lambda: spent(lambda: Sweep().look([live])), _LATER: lambda: spent(lambda: kept.look([live]))}
    contenders |= {name: partial(spent, partial(_run, command)) for name, command in tools.items()}
    return interleave(contenders, rounds), " ".join(said)


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def table(times: dict[str, list[Spent]], note: str) -> tuple[Table, dict[str, str]]:
    """The comparison, and the figures of it."""
    base = "ss -xp" if "ss -xp" in times else _LATER
    rows: list[list[Cell]] = []
    figures: dict[str, str] = {}
    for name, each in times.items():
        clock, processor = ([one[part] * 1000 for one in each] for part in (0, 1))
        compared = ratio(clock, [one[0] * 1000 for one in times[base]])
        rows.append([name, str(spread(clock)), statistics.median(processor), str(compared)])
        figures |= {f"{_NAMES[name]}-ms": number(spread(clock).median), f"{_NAMES[name]}-ratio": number(compared.ratio)}
    columns = ["", "ms", "processor ms", f"times as long as {base}"]
    return Table("tools", "One look at who holds what", columns, rows, note), figures


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--processes", type=int, help="500; quick: 50")
    parser.add_argument("--descriptors", type=int, default=10, help="of each process")
    parser.add_argument("--rounds", type=int, help="10; quick: 3")
    given = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    processes, rounds = given.processes or (50 if given.quick else 500), given.rounds or (3 if given.quick else 10)
    with (
        tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as folder,
        busy(Path(folder), processes, given.descriptors) as live,
    ):
        times, said = measure(live, rounds)
    note = f"{processes:,} processes with {given.descriptors} descriptors each, {rounds} rounds. {said}"
    compared, figures = table(times, note)
    finish(given, [compared], figures=figures)


if __name__ == "__main__":
    main()
