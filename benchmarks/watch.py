"""What a watch takes, tells and loses, and how late it tells, by every sensor that can run here.

    python benchmarks/watch.py [--rounds 2] [--quick] [--json FILE]

One process connects to sockets of its own, which the watch's configuration names; a client that is a process of its own
each time would measure fork and exec instead. An access is told whole when the store has it, counted when the watch
told only how many there were, lost when neither. Processor time and memory are those of all of a watch's processes,
what they share counted once; what a watch takes when nothing happens is in it. Latency is from before a connect to its
first alert as it comes out of a pipe. Needs root, and changes the kernel's audit while it runs, as the watch does.
"""

from __future__ import annotations

import math
import os
import resource
import socket
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from results import Axis, Cell, Plot, Series, Table, arguments, finish, interleave, number, spread, unable
from watches import SENSORS, CannotWatchError, Watch, extra, started

_PAUSE = 0.005
"""Seconds between bursts: 10 connects each at 2,000 a second. Being late is caught up at once."""
_APART = 0.02
"""Seconds between an alert and the next access, where each is waited for."""
_QUIET = 1.5
"""Seconds without a line, after which nothing more comes."""
_WAIT = 10


class Sizes(NamedTuple):
    """How much is measured. seconds: of sending, by rates and by sockets; burst: accesses as fast as they go."""

    rounds: int
    rates: tuple[int, ...]
    sockets: tuple[int, ...]
    seconds: tuple[int, int]
    waited: int
    starts: int
    burst: int
    accesses: int


_FULL = Sizes(2, (5, 100, 500, 1000, 2000), (1, 10, 100, 1000), (5, 3), 500, 5, 100_000, 100_000)
_QUICK = Sizes(1, (5, 500), (1, 100), (2, 1), 50, 2, 5000, 2000)


class Load(NamedTuple):
    """What came of a load. share: of one processor while it went on; cost: microseconds of it an access."""

    sent: int
    rate: float
    whole: int
    counted: int
    lost: int
    said: int
    share: float
    cost: float


class Heard:
    """Alerts on sockets below a folder, as they come: when the last did, and the first since `came` was cleared."""

    def __init__(self, folder: Path) -> None:
        self._mark = f'"{folder}/'.encode()
        self.first = self.last = 0.0
        self.came = threading.Event()

    def line(self, line: bytes) -> None:
        now = time.monotonic()
        if self._mark in line:
            self.last = now
            if not self.came.is_set():
                self.first = now
                self.came.set()

    def until_quiet(self) -> None:
        began = time.monotonic()
        while time.monotonic() - max(self.last, began) < _QUIET:
            time.sleep(0.1)


class Bench(NamedTuple):
    """A watch with sockets of this process's own."""

    doors: list[socket.socket]
    watch: Watch
    heard: Heard


@contextmanager
def bench(folder: Path, sensor: str, sockets: int = 1) -> Iterator[Bench]:
    """A watch that begins in an empty folder, and is not ready yet."""
    with ExitStack() as kept:
        doors = []
        for place in range(sockets):
            doors.append(kept.enter_context(socket.socket(socket.AF_UNIX)))
            doors[-1].bind(str(folder / f"{place}.sock"))
            doors[-1].listen(64)
        heard = Heard(folder)
        configuration = extra([door.getsockname() for door in doors])
        watch = kept.enter_context(started(folder / "watch", sensor, configuration, hear=heard.line))
        yield Bench(doors, watch, heard)


def access(door: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(door.getsockname())
        door.accept()[0].close()


def send(doors: list[socket.socket], accesses: int, rate: float) -> float:
    """Connects so many times at that rate, to one after the other; the seconds that it took."""
    began = time.monotonic()
    for place in range(accesses):
        if (ahead := began + place / rate - time.monotonic()) > 0:
            time.sleep(max(ahead, _PAUSE))
        access(doors[place % len(doors)])
    return time.monotonic() - began


def work() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-")


def load(sensor: str, rate: float, accesses: int, sockets: int = 1) -> Load:
    with work() as name:
        with bench(Path(name), sensor, sockets) as (doors, watch, heard):
            watch.until_ready()
            time.sleep(_QUIET)
            before = watch.processor()
            took = send(doors, accesses, rate)
            sending = watch.processor() - before
            heard.until_quiet()
            spent, counts = watch.processor() - before, watch.counts()
        with closing(sqlite3.connect(f"{name}/watch/state/sockwarden.db")) as store:
            found = store.execute("SELECT count(*) FROM accesses WHERE socket LIKE ?", [f"{name}/%"])
            whole = min(int(found.fetchone()[0]), accesses)
    counted = min(round(counts["folded"]), accesses - whole)
    lost, share = accesses - whole - counted, 100 * sending / took
    return Load(accesses, accesses / took, whole, counted, lost, round(counts["lost"]), share, 1e6 * spent / accesses)


def late(sensor: str, accesses: int) -> list[float]:
    """Milliseconds to the first alert of each access, one access after the other."""
    found = []
    with work() as name, bench(Path(name), sensor) as (doors, watch, heard):
        watch.until_ready()
        for place in range(accesses + 1):
            time.sleep(_APART if place else _QUIET)
            heard.came.clear()
            began = time.monotonic()
            access(doors[0])
            if not heard.came.wait(_WAIT):
                raise SystemExit(f"{sensor}: no alert came of an access within {_WAIT} s")
            found.append((heard.first - began) * 1000)
    return found[1:]  # before the first one nothing of it was ever looked up


def start(sensor: str) -> tuple[float, float]:
    """Seconds until the watch says that it watches, and until the first alert of accesses that never cease."""
    with work() as name, bench(Path(name), sensor) as (doors, watch, heard):

        def ceaseless() -> None:
            over = time.monotonic() + _WAIT
            while not heard.came.wait(_PAUSE) and time.monotonic() < over:
                access(doors[0])

        sending = threading.Thread(target=ceaseless)
        sending.start()
        ready = watch.until_ready()
        sending.join()
        if not heard.came.is_set():
            raise SystemExit(f"{sensor}: no alert came within {_WAIT} s of the start")
        return ready, heard.first - watch.began


def memory(sensor: str, accesses: int) -> list[tuple[int, float]]:
    """MB after so many accesses, in five steps."""
    with work() as name, bench(Path(name), sensor) as (doors, watch, heard):
        watch.until_ready()
        found = [(0, watch.memory())]
        for step in range(1, 6):
            send(doors, accesses // 5, 2000)
            heard.until_quiet()
            found.append((accesses // 5 * step, watch.memory()))
        return found


def able() -> tuple[list[str], str]:
    """The sensors that can run, and why others cannot."""
    found, lacking = [], []
    for sensor in SENSORS:
        try:
            with work() as name, bench(Path(name), sensor) as (_, watch, _heard):
                watch.until_ready()
        except CannotWatchError as error:
            lacking.append(f"Left out: {sensor}: {error}")
        else:
            found.append(sensor)
    return found, " ".join(lacking)


class Found(NamedTuple):
    tables: list[Table]
    plots: list[Plot]
    figures: dict[str, str]


def by_rate(found: Found, sensors: list[str], sizes: Sizes) -> None:
    runs = interleave(
        {
            f"{sensor} {rate}": partial(load, sensor, rate, rate * sizes.seconds[0])
            for sensor in sensors
            for rate in sizes.rates
        },
        sizes.rounds,
    )
    rows: list[list[Cell]] = []
    series = []
    for sensor in sensors:
        points = []
        for rate in sizes.rates:
            each = runs[f"{sensor} {rate}"]
            share = spread([one.share for one in each])
            sums = [sum(one[place] for one in each) for place in (0, 2, 3, 4, 5)]
            cost = spread([one.cost for one in each])
            rows.append([sensor, str(rate), statistics.median(one.rate for one in each), *sums, str(share), str(cost)])
            points.append((float(rate), *share))
            found.figures[f"{sensor}-{rate}-processor"] = number(share.median)
            found.figures[f"{sensor}-{rate}-us-an-access"] = number(cost.median)
            found.figures[f"{sensor}-{rate}-lost"] = str(sums[3])
        series.append(Series(sensor, points))
    columns = ["sensor", "accesses a second", "as sent", "sent", "told whole", "counted", "lost", "said to be lost"]
    columns += ["% of a processor", "µs of it an access"]
    found.tables.append(Table("rates", "By accesses a second", columns, rows))
    axes = Axis("accesses a second", log=True), Axis("% of a processor")
    found.plots.append(Plot("by-rate", "By accesses a second", *axes, series))


def in_a_burst(found: Found, sensors: list[str], sizes: Sizes) -> None:
    runs = interleave({sensor: partial(load, sensor, math.inf, sizes.burst) for sensor in sensors}, sizes.rounds)
    rows: list[list[Cell]] = []
    for sensor, each in runs.items():
        rate, cost = (spread([one[place] for one in each]) for place in (1, 7))
        sums = [sum(one[place] for one in each) for place in (0, 2, 3, 4, 5)]
        rows.append([sensor, str(rate), *sums, str(cost)])
        found.figures[f"{sensor}-burst-lost"] = str(sums[3])
    columns = ["sensor", "accesses a second, as sent", "sent", "told whole", "counted", "lost", "said to be lost"]
    note = (
        f"{sizes.burst:,} accesses by one process, as fast as they go. Audit says how many records were lost, six each."
    )
    found.tables.append(Table("burst", "A burst", [*columns, "µs of a processor an access"], rows, note))


def by_sockets(found: Found, sensors: list[str], sizes: Sizes) -> None:
    contenders: dict[str, Callable[[], Load]] = {
        f"{sensor} {many}": partial(load, sensor, 500, 500 * sizes.seconds[1], many)
        for sensor in sensors
        for many in sizes.sockets
    }
    runs = interleave(contenders, sizes.rounds)
    rows: list[list[Cell]] = []
    series = []
    for sensor in sensors:
        costs = {many: spread([one.cost for one in runs[f"{sensor} {many}"]]) for many in sizes.sockets}
        for many, cost in costs.items():
            rows.append([sensor, many, str(cost), sum(one.lost for one in runs[f"{sensor} {many}"])])
            found.figures[f"{sensor}-sockets-{many}-us-an-access"] = number(cost.median)
        series.append(Series(sensor, [(many, *cost) for many, cost in costs.items()]))
    columns = ["sensor", "sockets", "µs of a processor an access", "lost"]
    found.tables.append(Table("sockets", "By watched sockets, at 500 accesses a second", columns, rows))
    axes = Axis("watched sockets", log=True), Axis("µs of a processor an access")
    found.plots.append(Plot("by-sockets", "By watched sockets", *axes, series))


def one_by_one(found: Found, sensors: list[str], sizes: Sizes) -> None:
    """Latency, and how long a watch takes to begin."""
    starts = interleave({sensor: partial(start, sensor) for sensor in sensors}, sizes.starts)
    rows: list[list[Cell]] = []
    for sensor in sensors:
        times = late(sensor, sizes.waited)
        median, p99 = statistics.median(times), statistics.quantiles(times, n=100, method="inclusive")[98]
        ready, first = (spread([one[part] for one in starts[sensor]]) for part in (0, 1))
        rows.append([sensor, median, p99, max(times), str(ready), str(first)])
        figures = {"latency-ms": median, "latency-p99-ms": p99, "ready-s": ready.median, "first-s": first.median}
        found.figures.update({f"{sensor}-{name}": number(value) for name, value in figures.items()})
    columns = ["sensor", "ms to an alert, median", "p99", "most", "s from start to watching", "s to the first alert"]
    note = f"{sizes.waited} accesses that each waited for the alert of the one before; {sizes.starts} starts."
    found.tables.append(Table("latency", "From a connect to its alert, and from the start", columns, rows, note))


def by_accesses(found: Found, sensors: list[str], sizes: Sizes) -> None:
    points = {sensor: memory(sensor, sizes.accesses) for sensor in sensors}
    rows: list[list[Cell]] = [
        [many, *(points[sensor][place][1] for sensor in sensors)] for place, (many, _) in enumerate(points[sensors[0]])
    ]
    found.figures.update({f"{sensor}-memory": number(each[-1][1]) for sensor, each in points.items()})
    found.tables.append(Table("memory", "Memory, MB", ["accesses", *sensors], rows))
    series = [Series(sensor, [(many, mb, mb, mb) for many, mb in each]) for sensor, each in points.items()]
    found.plots.append(Plot("by-accesses", "Memory", Axis("accesses"), Axis("MB"), series))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="of loads: 2; quick: 1")
    given = parser.parse_args()
    if os.geteuid():
        unable("it takes root, as the watch does")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sensors, lacking = able()
    if not sensors:
        unable(lacking)
    if child := os.fork():
        # The kernel audits nothing of a process that began before audit was ever enabled, as this one may have.
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sizes = _QUICK if given.quick else _FULL
    sizes = sizes._replace(rounds=given.rounds or sizes.rounds)
    found = Found([], [], {})
    for part in (one_by_one, by_rate, in_a_burst, by_sockets, by_accesses):
        part(found, sensors, sizes)
    finish(given, *found, note=lacking)


if __name__ == "__main__":
    main()
