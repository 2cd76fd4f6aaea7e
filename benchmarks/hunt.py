"""How fast a hunt is, beside its peers, in one interleaved run; and whether its memory stays flat.

    python benchmarks/hunt.py [--mb 200] [--rounds 5] [--log FILE]

Each round runs every tool once on the same log, in turn, so that a slow moment of the machine hits them all. Printed
are medians, the spread and the ratio to ausearch. A peer that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generate import write

_NEEDLES = [path.encode().hex().upper() for path in ("docker.sock", "containerd.sock")]
_SOCKWARDEN = Path(sys.executable).with_name("sockwarden")


def tools(log: Path) -> dict[str, list[str]]:
    """The commands, by name."""
    hunt = [str(_SOCKWARDEN), "hunt", str(log), "--output", "ndjson"]
    one = [*hunt, "--rule", "unusual-process-connection-runtime-socket"]
    return {
        "sockwarden hunt, everything": hunt,
        "sockwarden hunt, the published rule": one,
        "sockwarden hunt --literal, the same": [*one, "--literal"],
        "ausearch --syscall connect --raw": ["ausearch", "--input", str(log), "--syscall", "connect", "--raw"],
        "grep -c -F, two needles in hex": ["grep", "-c", "-F", *(f"-e{needle}" for needle in _NEEDLES), str(log)],
    }


def measure(command: list[str]) -> tuple[float, int]:
    """Wall seconds and peak memory in KiB of one run. Its output goes to a file: grep stops early on /dev/null."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {process.returncode}: {' '.join(command)}")
    return time.monotonic() - began, usage.ru_maxrss


def compare(log: Path, rounds: int) -> None:
    """Runs every tool, round by round, and prints the table."""
    commands = tools(log)
    for name in [name for name, command in commands.items() if not shutil.which(command[0])]:
        print(f"not installed, left out: {name}")
        del commands[name]
    size = log.stat().st_size / 1e6
    events = len({line[line.find(b"(") : line.find(b")")] for line in log.open("rb")})
    print(f"\n{size:.0f} MB, {events:,} events, {rounds} rounds interleaved; {describe()}\n")
    times: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, int] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds, peak = measure(command)
            times[name].append(seconds)
            peaks[name] = max(peaks.get(name, 0), peak)
    ausearch = next((statistics.median(times[name]) for name in times if name.startswith("ausearch")), None)
    print(f"{'':38}{'median s':>9}{'min..max':>14}{'MB/s':>7}{'events/s':>11}{'peak MB':>9}{'x ausearch':>12}")
    for name, each in times.items():
        median = statistics.median(each)
        spread = f"{min(each):.2f}..{max(each):.2f}"
        ratio = f"{ausearch / median:.1f}" if ausearch else "?"
        rates = f"{size / median:>7.0f}{events / median:>11,.0f}"
        print(f"{name:38}{median:>9.2f}{spread:>14}{rates}{peaks[name] / 1024:>9.0f}{ratio:>12}")


def memory(folder: Path, megabytes: float) -> None:
    """Peak memory on a log and on one five times as large."""
    print("\npeak memory of `sockwarden hunt`, everything:")
    for size in (megabytes, megabytes * 5):
        log = folder / "memory.log"
        write(log, megabytes=size)
        _, peak = measure(tools(log)["sockwarden hunt, everything"])
        print(f"  {size:>6.0f} MB log  {peak / 1024:>5.0f} MB")
        log.unlink()


def describe() -> str:
    """The machine and the commit."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, commit {commit}"


def main() -> None:
    """Runs the comparison, then the memory check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", type=Path, help="measure on this log instead of a generated one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sockwarden-bench-") as name:
        log = given.log or Path(name) / "audit.log"
        if not given.log:
            write(log, megabytes=given.mb)
        compare(log, given.rounds)
        if not given.log:
            log.unlink()
            memory(Path(name), given.mb)


if __name__ == "__main__":
    main()
