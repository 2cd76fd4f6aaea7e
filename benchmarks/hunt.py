"""How fast a hunt is, beside other tools that are asked for the same connects, and how that grows.

    python benchmarks/hunt.py [--mb 500] [--rounds 3] [--quick] [--json FILE]

Logs are generated (benchmarks/generate.py): captured accesses to runtime sockets among made-up noise, raw and
enriched. A hunt has all packaged rules and signatures, on the socket that was really reached, and prints whole alerts
as lines of JSON; `--literal` is the published rule as its own pipeline would judge. grep -F is asked for the hunt's own
literals (whatever it looks for in an address, plain and in hex), and for two, as one would by hand. Memory is that of
all of a hunt's processes at once, what they share counted once. The logs are in the kernel's memory when a tool begins,
but where it says "from the disk": yesterday's are not.

The accesses are a dozen captured ones again and again, as programs ask, each by another process, login and session and
under another title. One log has them by ever new programs and under ever new keys, so that no two are alike and each is
judged by itself.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import IO, NamedTuple

from generate import write
from peers import FORMS, obtained
from results import Axis, Cell, Plot, Series, Table, arguments, finish, interleave, number, ratio, spread

_SOCKWARDEN = Path(sys.executable).with_name("sockwarden")
_PUBLISHED = "unusual-process-connection-runtime-socket"
_EVERYTHING, _LITERAL = "sockwarden hunt", "sockwarden hunt, the published rule, --literal"
_GREP, _TWO = "grep -F, the hunt's own literals", "grep -F, two needles in hex"
_WATCHED = "sockwarden hunt, its memory looked at"
_FROM_DISK, _CAT_FROM_DISK = "sockwarden hunt, from the disk", "cat, from the disk"
_AUSEARCH = "ausearch --interpret, grep"
_QUICK = {"ausearch --interpret, grep", "ripgrep, two needles in hex", _TWO, _GREP}
_COMPARED = (_GREP, _TWO, _AUSEARCH)
_UNLIKE, _EVERY = "unlike", "every-tool"
_SHARES = (0.1, 1, 10, 100)
_SIZES = (0.1, 0.5, 1, 4)
"""In GB."""


class Run(NamedTuple):
    """Seconds, and the most memory at once in MB; 0 where it was not asked for."""

    seconds: float
    memory: float = 0.0


def hunts(log: Path) -> dict[str, list[str]]:
    hunt = [str(_SOCKWARDEN), "hunt", str(log), "--output", "ndjson"]
    return {_EVERYTHING: hunt, _LITERAL: [*hunt, "--rule", _PUBLISHED, "--literal"]}


def run(command: list[str], log: Path, *, watched: bool = False, from_disk: bool = False) -> Run:
    """One run. Its output goes to a file, since grep stops early on /dev/null; in memory, so that no disk takes part;
    and over that of the run before. The log is in memory, too, which a kernel may have let go of meanwhile; or surely
    is not.
    """
    if from_disk:
        _let_go_of(log)
    else:
        subprocess.run(["cat", log], stdout=subprocess.DEVNULL, check=True)
    output = _output()
    output.seek(0)
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    most = [0]
    looking = threading.Thread(target=_watch, args=(process, most)) if watched else None
    if looking:
        looking.start()
    code = process.wait()
    taken = time.monotonic() - began
    if looking:
        looking.join()
    if code not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {code}: {' '.join(command)}")
    return Run(taken, most[0] / 1024)


def _let_go_of(log: Path) -> None:
    """Has the kernel keep nothing of a file in memory."""
    with log.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@cache
def _output() -> IO[bytes]:
    """Where all runs write to, from its beginning."""
    return tempfile.TemporaryFile(dir="/dev/shm")


def _environment() -> dict[str, str]:
    """Of a shell where nothing was set for Python, so that it keeps the code that it compiled."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _watch(process: subprocess.Popen[bytes], most: list[int]) -> None:
    """Notes the most memory of a session, as proportional set sizes in KiB, every 20 ms until it ends."""
    while process.poll() is None:
        most[0] = max(most[0], sum(map(_proportional, _session(process.pid))))
        time.sleep(0.02)


def _session(leader: int) -> list[int]:
    children = f"/proc/{leader}/task/{leader}/children"
    try:
        return [leader, *map(int, Path(children).read_text(encoding="ascii").split())]
    except OSError:
        return []


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"^Pss:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _events(log: Path) -> int:
    with log.open("rb") as lines:
        return len({line[line.find(b"(") : line.find(b")")] for line in lines})


def beside_peers(
    name: str, title: str, log: Path, form: str, rounds: int, *, slow: bool
) -> tuple[Table, dict[str, str]]:
    """The tools on one log; slow: also those that take minutes for what others read in a second."""
    peers, lacking = obtained(log, form)
    peers = {tool: command for tool, command in peers.items() if slow or tool in _QUICK}
    lacking = [why for why in lacking if slow or why.partition(":")[0] in _QUICK]
    commands = {**hunts(log), **peers, "cat": ["sh", "-c", f"cat {log} >/dev/null"]}
    runs = interleave({name: partial(run, command, log) for name, command in commands.items()}, rounds, warm_up=True)
    seconds = {name: [one.seconds for one in each] for name, each in runs.items()}
    size = log.stat().st_size / 1e6
    rows: list[list[Cell]] = []
    for tool, each in seconds.items():
        compared = [str(ratio(seconds[other], each)) if other in seconds else None for other in _COMPARED]
        rows.append([tool, str(spread(each)), size / statistics.median(each), *compared])
    ours = seconds[_EVERYTHING]
    figures = {f"{name}-mb-a-second": number(size / statistics.median(ours))}
    for other, short in zip(_COMPARED, ("grep", "two-needles", "ausearch"), strict=True):
        if other in seconds:
            figures[f"{name}-to-{short}"] = number(ratio(seconds[other], ours).ratio)
    note = f"{size:.0f} MB, {_events(log):,} events, 1 % of them accesses; {rounds} rounds."
    columns = ["", "seconds", "MB/s", f"speed to {_GREP}", *(f"to {other}" for other in _COMPARED[1:])]
    note = " ".join([note, *(f"Left out: {why}." for why in lacking)])
    return Table(name, title, columns, rows, note), figures


def _grown(
    folder: Path, sizes: dict[float, Callable[[Path], None]], rounds: int, *, further: bool
) -> dict[float, tuple[float, dict[str, list[Run]]]]:
    """A hunt beside cat and grep over logs that are made one after the other: megabytes, and the runs. Further: its
    memory as well, and hunt and cat from the disk.
    """
    found = {}
    for x, make in sizes.items():
        log = folder / "grown.log"
        make(log)
        grep = obtained(log, "raw")[0][_GREP]
        commands = {_EVERYTHING: hunts(log)[_EVERYTHING], _GREP: grep, "cat": ["sh", "-c", f"cat {log} >/dev/null"]}
        contenders = {name: partial(run, command, log) for name, command in commands.items()}
        if further:
            # Who looks at its memory takes a processor from a hunt, and holds up what asks for more.
            contenders[_WATCHED] = partial(run, commands[_EVERYTHING], log, watched=True)
            contenders[_FROM_DISK] = partial(run, commands[_EVERYTHING], log, from_disk=True)
            contenders[_CAT_FROM_DISK] = partial(run, commands["cat"], log, from_disk=True)
        found[x] = log.stat().st_size / 1e6, interleave(contenders, rounds, warm_up=True)
        log.unlink()
    return found


def grown(
    name: str, title: str, axis: str, found: dict[float, tuple[float, dict[str, list[Run]]]]
) -> tuple[Table, Plot, dict[str, str]]:
    """What a hunt does with more of something."""
    rows: list[list[Cell]] = []
    points: dict[str, list[tuple[float, float, float, float]]] = {}
    figures: dict[str, str] = {}
    for x, (size, runs) in found.items():
        seconds = {tool: [one.seconds for one in each] for tool, each in runs.items() if tool != _WATCHED}
        for tool, each in seconds.items():
            points.setdefault(tool, []).append((x, *spread([size / one for one in each])))
        ours, memory = seconds[_EVERYTHING], max((one.memory for one in runs.get(_WATCHED, ())), default=0)
        rates = spread([size / one for one in ours])
        to = [ratio(seconds[tool], ours) for tool in (_GREP, "cat")]
        row: list[Cell] = [f"{x:g}", f"{size:,.0f}", str(rates), *map(str, to)]
        if _FROM_DISK in seconds:
            to_disk = ratio(seconds[_CAT_FROM_DISK], seconds[_FROM_DISK])
            row += [round(memory), str(spread([size / one for one in seconds[_FROM_DISK]])), str(to_disk)]
            figures[f"{name}-{x:g}-from-disk-to-cat"] = number(to_disk.ratio)
        rows.append(row)
        figures |= {f"{name}-{x:g}-to-grep": number(to[0].ratio), f"{name}-{x:g}-mb-a-second": number(rates.median)}
        if memory:
            figures[f"{name}-{x:g}-memory"] = f"{memory:.0f}"
    columns = [axis, "MB", "MB/s", "speed to grep", "to cat"]
    if len(columns) < len(rows[0]):
        columns += ["memory, MB", "from the disk, MB/s", "to cat from the disk"]
    plot = Plot(
        f"by-{name}", title, Axis(axis, log=True), Axis("MB/s", log=True), [Series(*one) for one in points.items()]
    )
    return Table(name, title, columns, rows), plot, figures


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--mb", type=float, help="size of the logs; 500, quick: 50. Every tool has a fifth of it")
    parser.add_argument("--rounds", type=int, help="3; quick: 2")
    given = parser.parse_args()
    megabytes, rounds = given.mb or (50.0 if given.quick else 500.0), given.rounds or (2 if given.quick else 3)
    sizes = (0.01, 0.02) if given.quick else _SIZES
    tables: list[Table] = []
    plots: list[Plot] = []
    figures: dict[str, str] = {}
    # /var/tmp is on a disk, /tmp need not be.
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-", dir="/var/tmp") as made:
        folder = Path(made)
        logs = [(form, f"A log of {form} records", form) for form in FORMS]
        logs.append((_UNLIKE, "A log of raw records in which no two accesses are alike", "raw"))
        logs.append((_EVERY, "Every tool, on enriched records", "enriched"))
        for name, title, form in logs:
            log, slow = folder / f"{name}.log", name == _EVERY
            write(log, megabytes=megabytes / 5 if slow else megabytes, form=form, unlike=name == _UNLIKE)
            table, found = beside_peers(name, title, log, form, rounds, slow=slow)
            tables.append(table)
            figures |= found
            log.unlink()
        makes = {share: partial(write, megabytes=megabytes / 5, share=share, form="raw") for share in _SHARES}
        by_size = {size: partial(write, megabytes=size * 1000, form="raw") for size in sizes}
        for what, title, axis, grows in (
            ("share", "By the share of accesses", "accesses in 100 events", makes),
            ("size", "By the size of the log", "GB", by_size),
        ):
            runs = _grown(folder, grows, rounds, further=what == "size")  # type: ignore[arg-type]
            table, plot, found = grown(what, title, axis, runs)
            tables.append(table)
            plots.append(plot)
            figures |= found
    finish(given, tables, plots, figures)


if __name__ == "__main__":
    main()
