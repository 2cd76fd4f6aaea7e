"""What the store costs: to keep an access with its alerts, to list and to show at its size, and to take away.

    python benchmarks/store.py [--rounds 5] [--quick] [--json FILE]

Accesses of the recorded captures, with the alerts that all packaged rules and signatures make of them, again and again
under new ids and times; listing and showing are whole runs of the program. Retention takes half of the largest store
away, step by step; what a watch writes waits for one step at most.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from results import Axis, Cell, Plot, Series, Table, arguments, finish, interleave, number, spread

from sockwarden.cli.detections import chosen
from sockwarden.detect import Engine
from sockwarden.document import Document
from sockwarden.pipeline.replay import Replay
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import format_of, plan
from sockwarden.sockets import packaged
from sockwarden.store import Store
from sockwarden.store.rows import AccessRow, AlertRow, access_row, alert_row

_CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"
_SOCKWARDEN = str(Path(sys.executable).with_name("sockwarden"))
_BATCH = 1000
_APART_MS = 100
_DAYS = 36_500


class Kept(NamedTuple):
    """An access and its alerts."""

    access: Document
    alerts: list[Document]


def captured() -> list[Kept]:
    """What reached a runtime's socket in the captures."""
    detections = chosen(())
    engine = Engine(detections)
    catalogue = packaged()
    wanted = wanted_by((one.required_literals for one in detections), catalogue)
    found: list[Kept] = []
    for stream in plan([str(path) for path in sorted(_CAPTURES.glob("*.audit.log"))]):
        with stream:
            documents = Replay(catalogue, wanted).documents(stream, format_of(stream))
            found += [Kept(document, list(engine.judge(document))) for document in documents]
    return [one for one in found if one.alerts]


def rows(kept: list[Kept], first: int) -> Iterator[tuple[AccessRow, list[AlertRow]]]:
    """Rows without end, numbered from `first` on, each some time after the one before."""
    made = [(access_row(one.access), [alert_row(alert) for alert in one.alerts]) for one in kept]
    began = int(time.time() * 1000) - _APART_MS * 10_000_000
    while True:
        access, alerts = made[first % len(made)]
        moment = began + first * _APART_MS
        yield (
            access._replace(id=first.to_bytes(16, "big"), time=moment),
            [one._replace(uuid=f"{first:060x}{place:04x}", kept=moment) for place, one in enumerate(alerts)],
        )
        first += 1


def filled(store: Store, kept: list[Kept], have: int, want: int) -> float:
    """Accesses and their alerts until there are so many alerts; seconds an access, without making its rows."""
    more, count, spent, alerts_there = rows(kept, have), 0, 0.0, store.count()
    while alerts_there < want:
        batch = list(islice(more, _BATCH))
        began = time.perf_counter()
        new = store.write([access for access, _ in batch], [alert for _, alerts in batch for alert in alerts])
        alerts_there += sum(new[1])
        spent += time.perf_counter() - began
        count += len(batch)
    return spent / max(count, 1)


def ran(command: list[str]) -> float:
    """Milliseconds of a run of the program."""
    began = time.perf_counter()
    subprocess.run([_SOCKWARDEN, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def at_sizes(
    folder: Path, kept: list[Kept], sizes: tuple[int, ...], rounds: int
) -> tuple[list[list[Cell]], list[Plot]]:
    """A row for each size, and how the commands grow."""
    lines: list[list[Cell]] = []
    series: dict[str, list[tuple[float, float, float, float]]] = {}
    for size in sizes:
        with Store(folder, create=True) as store:
            each = filled(store, kept, store.count_accesses(), size)
            accesses, alerts = store.count_accesses(), store.count()
            shown = f"{accesses // 2:060x}"
        state = ["--state", str(folder)]
        commands = {
            "alerts list": ["alerts", "list", *state],
            "alerts list, critical": ["alerts", "list", "--severity", "critical", *state],
            "alerts show": ["alerts", "show", f"{shown}0000", *state],
            "accesses list": ["accesses", "list", *state],
        }
        times = interleave({name: partial(ran, command) for name, command in commands.items()}, rounds)
        for name, taken in times.items():
            series.setdefault(name, []).append((size, *spread(taken)))
        stored = sum(path.stat().st_size for path in folder.glob("sockwarden.db*"))
        lines.append(
            [
                alerts,
                accesses,
                stored / 1e6,
                stored / (alerts + accesses),
                1e6 * each,
                *(str(spread(taken)) for taken in times.values()),
            ]
        )
    plot = Plot(
        "by-size",
        "A store of many alerts",
        Axis("alerts", log=True),
        Axis("ms"),
        [Series(*one) for one in series.items()],
    )
    return lines, [plot]


def taken_away(folder: Path) -> Table:
    """Retention, when half of the store is too much."""
    with Store(folder, create=False) as store:
        size = store.path.stat().st_size
        before, steps = time.perf_counter(), []

        def goes_on() -> bool:
            nonlocal before
            steps.append((time.perf_counter() - before) * 1000)
            before = time.perf_counter()
            return True

        removed = store.prune(_DAYS, size // 2, time.time(), goes_on=goes_on)
    row: list[Cell] = [removed.accesses + removed.alerts, len(steps), sum(steps) / 1000, str(spread(steps))]
    return Table("retention", "Half of it taken away", ["rows", "steps", "seconds", "ms a step"], [row])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="5; quick: 2")
    given = parser.parse_args()
    sizes = (2_000, 10_000) if given.quick else (10_000, 100_000, 1_000_000)
    rounds = given.rounds or (2 if given.quick else 5)
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as made:
        folder = Path(made)
        kept = captured()
        lines, plots = at_sizes(folder, kept, sizes, rounds)
        retention = taken_away(folder)
    columns = [
        "alerts",
        "accesses",
        "MB",
        "bytes a row",
        "µs to write an access",
        "alerts list, ms",
        "critical",
        "show",
    ]
    note = (
        f"Of {len(kept)} accesses, {sum(len(one.alerts) for one in kept) / len(kept):.1f} alerts each; {rounds} rounds."
    )
    table = Table("sizes", "By the number of alerts", [*columns, "accesses list"], lines, note)
    last = lines[-1]
    figures = {
        "bytes-a-row": number(float(str(last[3]))),
        "write-us": number(float(str(last[4]))),
        **{f"{name}-ms": str(last[place]).partition(" ")[0] for place, name in ((5, "list"), (7, "show"))},
    }
    finish(given, [table, retention], plots, figures)


if __name__ == "__main__":
    main()
