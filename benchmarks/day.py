"""A day of a busy host in one go: accesses through everything that a watch does with the kernel's records.

    python benchmarks/day.py [--accesses 200000] [--state FOLDER] [--megabytes 64] [--quick] [--json FILE]

Real records of a capture with new times, serials and pids, from the datagram to the store, which may take so many
megabytes; the sensor's own part, the kernel, is left out (benchmarks/watch.py has it). Memory is the most so far, and a
batch is what is taken in at once: the longest is how long an access may have waited for the store and its retention.
"""

from __future__ import annotations

import re
import resource
import struct
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from results import Axis, Cell, Plot, Series, Table, arguments, finish, number

from sockwarden.cli.detections import chosen
from sockwarden.detect import Engine
from sockwarden.enrich.containers import Containers
from sockwarden.enrich.processes import ProcessCache
from sockwarden.enrich.who import Who
from sockwarden.pipeline.audit_source import Datagrams
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.live import Live
from sockwarden.pipeline.source import Told
from sockwarden.pipeline.watch import MOST_REMEMBERED
from sockwarden.sockets import LiveSocket, Resolver, RuntimeSocket, packaged
from sockwarden.sockets.inventory import Inventory
from sockwarden.store import Keeper

CAPTURE = Path(__file__).parents[1] / "tests/data/captures/inode-rules.audit.log"
TYPES = {b"SYSCALL": 1300, b"PATH": 1302, b"SOCKADDR": 1306, b"CWD": 1307, b"PROCTITLE": 1327}
EOE = 1320
LINE = re.compile(rb"type=(\w+) msg=audit\([\d.]+:(\d+)\): ?([^\n]*)")
PID = re.compile(rb" pid=\d+ ")
BATCH = 2048


def templates() -> list[list[tuple[int, bytes]]]:
    """The capture's events that reach a socket file, each as record types and texts."""
    events: dict[bytes, list[tuple[int, bytes]]] = {}
    for kind, serial, text in LINE.findall(CAPTURE.read_bytes()):
        if kind in TYPES:
            events.setdefault(serial, []).append((TYPES[kind], text))
    return [event for event in events.values() if any(b" mode=014" in text for _, text in event)]


def datagrams(accesses: int) -> Iterator[bytes]:
    """So many accesses, 1 ms apart, of a new process every seventh."""
    events = templates()
    start = int(time.time() * 1000)
    for place in range(accesses):
        milliseconds = start + place
        stamp = b"audit(%d.%03d:%d): " % (milliseconds // 1000, milliseconds % 1000, place % (1 << 32))
        pid = b" pid=%d " % (4_000_000 + place // 7 % 100_000)
        for kind, text in events[place % len(events)]:
            yield _datagram(kind, stamp + (PID.sub(pid, text, count=1) if kind == TYPES[b"SYSCALL"] else text))
        yield _datagram(EOE, stamp)


def _datagram(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload


def run(accesses: int, state: Path, megabytes: int) -> tuple[list[list[Cell]], str]:
    """Feeds them all: how it went by then, ten times, and what the store left out."""
    docker = RuntimeSocket("/run/docker.sock", "docker", "Docker Engine API")
    text = next(text for event in templates() for _, text in event if b"docker.sock" in text and b" mode=014" in text)
    inode, device = re.findall(rb"inode=(\d+) dev=(\S+) ", text)[0]
    inventory = Inventory(packaged())
    inventory.refresh([LiveSocket(docker, "path", "catalogue", device=device.decode(), inode=int(inode))], 0)
    containers = Containers()
    cache = ProcessCache(containers)
    cache.prime()
    engine = Engine(chosen(()), most_remembered=MOST_REMEMBERED)
    live = Live(Resolver(packaged(), inventory), Who(cache, containers), lambda: engine, state, lambda: inventory)
    delivery = Delivery([], Keeper(state, max_age_days=30, max_bytes=megabytes << 20), print)
    rows: list[list[Cell]] = []
    source, records, longest = datagrams(accesses), Datagrams(), 0.0
    began = before = time.monotonic()
    while batch := list(islice(source, BATCH)):
        delivery.accesses(live.accesses(map(Told, records.documents(batch))))
        delivery.tick(time.monotonic())
        longest, before = max(longest, time.monotonic() - before), time.monotonic()
        counts = delivery.counts
        if counts.accesses >= accesses * (len(rows) + 1) // 10:
            stored = sum(path.stat().st_size for path in state.glob("sockwarden.db*")) / 1e6
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rate = counts.accesses / (before - began)
            rows.append([counts.accesses, counts.alerts, rate, memory, stored, longest * 1000])
    delivery.close()
    containers.close()
    removed = delivery.keeper.removed
    return (
        rows,
        f"The store dropped {delivery.keeper.dropped:,}; retention took {removed.accesses + removed.alerts:,} rows.",
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--accesses", type=int, help="200,000; quick: 10,000")
    parser.add_argument("--state", type=Path, help="folder of the store; else a temporary one")
    parser.add_argument("--megabytes", type=int, default=64, help="the store's limit")
    given = parser.parse_args()
    accesses = given.accesses or (10_000 if given.quick else 200_000)
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as scratch:
        rows, note = run(accesses, given.state or Path(scratch), given.megabytes)
    columns = ["accesses", "alerts", "accesses a second", "memory, MB", "stored, MB", "longest batch, ms"]
    points = [(float(str(row[0])), memory, memory, memory) for row in rows for memory in [float(str(row[3]))]]
    plot = Plot("memory", "Memory", Axis("accesses"), Axis("MB"), [Series("a watch", points)])
    figures = {"a-second": number(float(str(rows[-1][2]))), "memory": number(float(str(rows[-1][3])))}
    finish(given, [Table("day", "As it goes", columns, rows, note)], [plot], figures)


if __name__ == "__main__":
    main()
