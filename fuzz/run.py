"""Fuzzes everything that reads hostile bytes, guided by coverage: `python fuzz/run.py [TARGET …] --cpu-minutes 10`.

A session starts from fuzz/corpus/TARGET and the target's own seeds, and adds to that corpus the smallest inputs that
reached code which nothing in it reached. What fails goes to build/fuzz/TARGET: replay it with
`python fuzz/run.py TARGET --replay FILE`, mend it, and keep the input in the corpus under a name that says what it was.
To have the corpus minimal again, delete the files in it that are named by their hash, and start a session.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent
TARGETS = sorted(path.stem for path in FOLDER.glob("*.dict"))

_MOST_MEMORY = 1024
_LONGEST_RUN = 10
_RESULTS = {0: "clean", 70: "hang", 71: "memory", 77: "failure"}
"""libFuzzer's exit codes (FuzzerOptions.h)."""


@dataclass(frozen=True, slots=True)
class Session:
    """What one target's session came to. Memory in MB: after the corpus was read, and at its highest."""

    target: str
    executions: int
    cpu_seconds: float
    edges: int
    new_files: int
    memory_at_start: int
    memory_at_end: int
    result: str


def main() -> int:
    arguments = _arguments()
    sys.path.insert(0, str(FOLDER.parent))
    if arguments.replay:
        importlib.import_module(f"fuzz.{arguments.targets[0]}").check(arguments.replay.read_bytes())
        return 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        sessions = list(pool.map(lambda name: fuzz(name, arguments.cpu_minutes), arguments.targets))
    console = Console()
    console.width = max(console.width, 110)
    console.print(_table(sessions))
    return int(any(session.result != "clean" for session in sessions))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0] if __doc__ else None)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--cpu-minutes", type=float, default=1, help="of each target (1)")
    parser.add_argument("--jobs", type=int, default=1, help="targets at once (1)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input through one target")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.targets) - set(TARGETS)):
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if arguments.replay and len(arguments.targets) != 1:
        parser.error("--replay needs exactly one target")
    arguments.targets = arguments.targets or TARGETS
    return arguments


def fuzz(name: str, cpu_minutes: float) -> Session:
    """One session: fuzzes, then keeps in the corpus what reached new code."""
    corpus, findings = FOLDER / "corpus" / name, FOLDER.parent / "build" / "fuzz" / name
    target = importlib.import_module(f"fuzz.{name}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as room:
        found, seeds = Path(room, "found"), Path(room, "seeds")
        for folder in (corpus, findings, found, seeds):
            folder.mkdir(parents=True, exist_ok=True)
        for seed in target.seeds():
            (seeds / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
        before = len(list(corpus.iterdir()))
        options = [
            f"-max_len={target.LONGEST}",
            f"-timeout={_LONGEST_RUN}",
            f"-rss_limit_mb={_MOST_MEMORY}",
            f"-dict={FOLDER / name}.dict",
            f"-artifact_prefix={findings}/",
            "-print_final_stats=1",
        ]
        code, cpu_seconds, log = _run(name, Path(room), cpu_minutes * 60, [*options, *map(str, (found, corpus, seeds))])
        (findings / "log").unlink(missing_ok=True)
        if code:
            (findings / "log").write_text(log, "utf-8")
        merge = ["-merge=1", "-use_counters=0", f"-timeout={_LONGEST_RUN}"]
        merged_code, _, merge_log = _run(name, Path(room), 0, [*merge, *map(str, (corpus, found, seeds))])
        if merged_code:
            raise SystemExit(f"{name}: the corpus could not be merged\n{merge_log[-2000:]}")
        return Session(
            name,
            int(_last(r"number_of_executed_units: (\d+)", log)),
            cpu_seconds,
            int(_last(r" cov: (\d+)", log)),
            len(list(corpus.iterdir())) - before,
            int(_last(r"INITED .*rss: (\d+)", log)),
            int(_last(r"peak_rss_mb: +(\d+)", log)),
            _RESULTS.get(code, f"exit code {code}"),
        )


def _run(name: str, room: Path, cpu_seconds: float, arguments: list[str]) -> tuple[int, float, str]:
    """Runs the engine; gives its exit code, its CPU seconds and what it printed."""
    command = room / "engine"
    if not command.exists():
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fuzz.engine {name} "$@"\n', "utf-8")
        command.chmod(stat.S_IRWXU)
    environment = {**os.environ, "FUZZ_COMMAND": str(command), "FUZZ_CPU_SECONDS": str(cpu_seconds)}
    with (room / "log").open("w+b") as log:
        process = subprocess.Popen(
            [command, *arguments], cwd=FOLDER.parent, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        text = log.read().decode("utf-8", "replace")
    return process.returncode, usage.ru_utime + usage.ru_stime, text


def _last(pattern: str, log: str) -> str:
    return next(reversed(re.findall(pattern, log)), "0")


def _table(sessions: list[Session]) -> Table:
    table = Table("target", title="Fuzzing")
    for heading in ("executions", "exec/CPU s", "CPU min", "edges", "new files", "MB at start", "MB at end"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for session in sessions:
        table.add_row(
            session.target,
            f"{session.executions:,}",
            f"{session.executions / session.cpu_seconds:,.0f}",
            f"{session.cpu_seconds / 60:.1f}",
            f"{session.edges:,}",
            str(session.new_files),
            str(session.memory_at_start),
            f"{session.memory_at_end} (+{session.memory_at_end - session.memory_at_start})",
            session.result,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
