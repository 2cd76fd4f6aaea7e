"""A day of a busy host in one go: millions of accesses through everything that a watch does with the kernel's records.

    python benchmarks/day.py --accesses 10000000 --state /var/tmp/day

Real records of a capture with new times, serials and pids, from the datagram to the store; the sensor's own part, the
kernel, is left out (benchmarks/watch.py has it). Prints accesses, seconds, memory and the store's size as it goes.
"""

from __future__ import annotations

import argparse
import re
import resource
import struct
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

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
from sockwarden.sockets import Inventory, LiveSocket, Resolver, RuntimeSocket, packaged
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
    for number in range(accesses):
        milliseconds = start + number
        stamp = b"audit(%d.%03d:%d): " % (milliseconds // 1000, milliseconds % 1000, number % (1 << 32))
        pid = b" pid=%d " % (4_000_000 + number // 7 % 100_000)
        for kind, text in events[number % len(events)]:
            yield _datagram(kind, stamp + (PID.sub(pid, text, count=1) if kind == TYPES[b"SYSCALL"] else text))
        yield _datagram(EOE, stamp)


def _datagram(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload


def run(accesses: int, state: Path, megabytes: int) -> None:
    """Feeds them all, and prints how it goes."""
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
    began, step, told = time.monotonic(), max(accesses // 100, 1), 0
    source, records = datagrams(accesses), Datagrams()
    while batch := list(islice(source, BATCH)):
        delivery.accesses(live.accesses(map(Told, records.documents(batch))))
        delivery.tick(time.monotonic())
        if delivery.counts.accesses >= told:
            told += step
            size = sum(path.stat().st_size for path in state.glob("sockwarden.db*"))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            counts, seconds = delivery.counts, time.monotonic() - began
            print(
                f"{counts.accesses:>10,} accesses {counts.alerts:>10,} alerts {seconds:>6.0f} s "
                f"{memory / 1024:>6.1f} MiB peak {size / (1 << 20):>7.1f} MiB stored",
                flush=True,
            )
    delivery.close()
    containers.close()
    print(f"dropped {delivery.keeper.dropped:,}, removed {delivery.keeper.removed}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accesses", type=int, default=1_000_000)
    parser.add_argument("--state", type=Path, default=None, help="folder of the store; else a temporary one")
    parser.add_argument("--megabytes", type=int, default=256, help="the store's limit")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sockwarden-day-") as scratch:
        run(arguments.accesses, arguments.state or Path(scratch), arguments.megabytes)
