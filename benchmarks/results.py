"""What a benchmark found, as benchmarks/results/NAME.json keeps it, and the statistics all of them share.

A script takes its arguments by `arguments(__doc__)`, measures its contenders by `interleave`, and gives what it found
to `finish`, which prints it and writes it where `--json` says. One that cannot run on this machine ends by `unable`.
"""

from __future__ import annotations

import argparse
import inspect
import math
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

import msgspec

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ("hunt", "match", "store", "watch", "day", "ebpf", "rungs", "requests", "sweep")
"""The scripts, as they run and are reported."""
UNABLE = 77
"""The exit code of a script that cannot run here, as Automake's tests have it for one that was skipped."""
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_MADE = (":(exclude,top)benchmarks/results", ":(exclude,top)docs", ":(exclude,top)README.md")
"""What `make bench` itself writes: that does not make the measured code another."""
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95 %, two-sided, by degrees of freedom from 1 to 30; the last is wide enough for more."""
T = TypeVar("T")
Cell = str | int | float | None


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """Rows as long as the columns; a note is a paragraph of Markdown below."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        if odd := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"table {self.name} has {len(self.columns)} columns, but a row of {len(odd[0])}: {odd[0]}")


class Axis(msgspec.Struct, forbid_unknown_fields=True):
    label: str
    log: bool = False


class Series(msgspec.Struct, forbid_unknown_fields=True):
    """Points of x, median, low and high; low and high are the ends of the bar."""

    name: str
    points: list[tuple[float, float, float, float]]

    def __post_init__(self) -> None:
        for _, median, low, high in self.points:
            if not low <= median <= high:
                raise ValueError(f"series {self.name} has a median of {median} outside of {low} to {high}")


class Plot(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    title: str
    x: Axis
    y: Axis
    series: list[Series]


class Results(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One benchmark's findings, with what they were measured on.

    A figure is the text as a page states it; `about` and `note` are paragraphs of Markdown above and below the tables.
    """

    name: str
    commit: str
    machine: str
    date: str
    command: str
    tables: list[Table]
    plots: list[Plot]
    figures: dict[str, str]
    about: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        named = [*(table.name for table in self.tables), *(plot.name for plot in self.plots)]
        for name in (self.name, *named, *self.figures):
            if not _NAME.fullmatch(name):
                raise ValueError(f"a name is of a-z, 0-9, - and _, not {name!r}")
        if len(set(named)) < len(named):
            raise ValueError(f"two tables or plots of {self.name} have one name")
        for name, text in self.figures.items():
            if not text.strip() or "\n" in text or "<!--" in text:
                raise ValueError(f"figure {name} is not a line of text: {text!r}")


class Spread(NamedTuple):
    """The median, the least and the most."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


class Ratio(NamedTuple):
    """How many times as much, and between what it lies by 95 %; without bounds after a single round."""

    ratio: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None or self.low == self.high:
            return number(self.ratio)
        return f"{number(self.ratio)} ({number(self.low)} to {number(self.high)})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def ratio(values: Sequence[float], base: Sequence[float]) -> Ratio:
    """Values to base: the geometric mean of the rounds' ratios, with Student's interval of their logarithms.

    A round's two values were measured side by side, so that what slowed the machine then is in both. ValueError where
    the rounds are not as many, or a value is not above 0.
    """
    logarithms = [math.log(one / other) for one, other in zip(values, base, strict=True)]
    mean = statistics.fmean(logarithms)
    if len(logarithms) < 2:
        return Ratio(math.exp(mean), None, None)
    wide = _STUDENT[min(len(logarithms) - 1, len(_STUDENT)) - 1]
    wide *= statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    return Ratio(math.exp(mean), math.exp(mean - wide), math.exp(mean + wide))


def interleave(contenders: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool = False) -> dict[str, list[T]]:
    """Calls every contender once a round, and gives what they gave, round by round.

    Each round begins with the next contender, so that none always runs after the same one. A warm-up is a round whose
    results are thrown away.
    """
    names = list(contenders)
    found: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(-warm_up, rounds):
        begin = turn % len(names)
        for name in names[begin:] + names[:begin]:
            given = contenders[name]()
            if turn >= 0:
                found[name].append(given)
    return found


def number(value: float) -> str:
    """Three digits that count, or all before the point: 0.0921, 2.30, 86.4, 101,787."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"


def cell(value: Cell) -> str:
    """A table's cell as people read it."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else value


def machine() -> str:
    """Processors, memory, kernel and Python of this machine."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = f" ({line.partition(':')[2].strip()})"
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    cores = f"{os.cpu_count()} cores {platform.machine()}{model}"
    return f"{cores}, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit that is measured, with `-dirty` where more differs from it than what `make bench` writes."""
    git = ["git", "-C", str(ROOT)]
    named = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    if named.returncode:
        return "unknown"
    changed = [*git, "status", "--porcelain", "--", ".", *_MADE]
    return named.stdout.strip() + "-dirty" * bool(subprocess.run(changed, capture_output=True, check=True).stdout)


def arguments(about: str | None) -> argparse.ArgumentParser:
    """A parser that has what every benchmark takes; from a script's docstring."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it runs, not what it finds")
    paragraphs = inspect.cleandoc(about or "").split("\n\n")
    parser.set_defaults(about="\n\n".join(one for one in paragraphs if not one.startswith(" ")))
    return parser


def unable(reason: str) -> NoReturn:
    """Ends a benchmark that this machine cannot run: the result of before stays."""
    print(f"cannot run here: {reason}", file=sys.stderr)
    raise SystemExit(UNABLE)


def finish(
    given: argparse.Namespace,
    tables: list[Table],
    plots: Sequence[Plot] = (),
    figures: Mapping[str, str] | None = None,
    note: str = "",
) -> None:
    """Prints what the script that runs has found, and writes it where its arguments say."""
    script = Path(sys.argv[0])
    words = [word for word in sys.argv[1:] if word not in ("--json", str(given.json), f"--json={given.json}")]
    found = Results(
        script.stem,
        commit(),
        machine(),
        datetime.now(UTC).date().isoformat(),
        " ".join(["python", f"benchmarks/{script.name}", *words]),
        tables,
        list(plots),
        dict(figures or {}),
        given.about,
        note,
    )
    print(f"\n{found.machine}; commit {found.commit}")
    for table in tables:
        print(f"\n{table.title}\n{_aligned(table)}")
        if table.note:
            print(table.note)
    if note:
        print(f"\n{note}")
    if given.json:
        write(given.json, found)


def _aligned(table: Table) -> str:
    lines = [table.columns, *([cell(value) for value in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def write(file: Path, found: Results) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def read(file: Path) -> Results:
    """The results of a file; ValueError says which file is not as it must be, and where."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Results)
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error
    if found.name != file.stem:
        raise ValueError(f"{file}: it holds the results of {found.name}")
    return found


def read_all(folder: Path) -> dict[str, Results]:
    """The results of a folder by their benchmark's name; ValueError also for those of a benchmark that there is not."""
    found = {file.stem: read(file) for file in folder.glob("*.json")}
    if unknown := found.keys() - set(BENCHMARKS):
        raise ValueError(f"{folder} has results of no benchmark: {', '.join(sorted(unknown))}")
    return {name: found[name] for name in BENCHMARKS if name in found}
