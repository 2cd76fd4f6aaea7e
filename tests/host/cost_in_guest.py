"""What a rung costs others, inside a guest whose clock counts instructions: the loop of benchmarks/ebpf.py.

python3 cost_in_guest.py TIMES     TIMES: JSON, a workload and how often; one line of JSON for each and rung
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sockwarden.sensors.ebpf import libbpf
from sockwarden.sensors.ebpf.ladder import RUNGS
from sockwarden.sensors.ebpf.objects import Object
from sockwarden.sensors.ebpf.records import IDENTITY, Identity
from sockwarden.sensors.ebpf.sensor import EbpfSensor

OTHER = Path("/tmp/other.sock")  # noqa: S108 - the guest's own


@contextmanager
def _under(rung: str, left_alone: list[bytes]) -> Iterator[None]:
    if rung in RUNGS:
        sensor = EbpfSensor(only=rung)
        sensor.open()
        sensor.leave_alone(left_alone)
        yield
        sensor.close()
    elif rung == "empty":
        with Object(libbpf.load(), Path("/empty.o").read_bytes()) as empty:
            empty.load()
            for program in list(empty.programs()):
                empty.attach(program.name)
            yield
    else:
        yield


def main() -> None:
    times = json.loads(sys.argv[1])
    for rung in ("none", "empty", *RUNGS):
        with socket.socket(socket.AF_UNIX) as local, socket.socket() as tcp:
            local.bind(str(OTHER))
            local.listen(1024)
            tcp.bind(("127.0.0.1", 0))
            tcp.listen(1024)
            status = OTHER.stat()
            listener = IDENTITY.pack(Identity.BY_LISTENER, 0, os.fstat(local.fileno()).st_ino)
            device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
            file = IDENTITY.pack(Identity.BY_FILE, device, status.st_ino)
            targets = {"connect, unrelated": str(OTHER), "tcp": str(tcp.getsockname()[1])}
            with _under(rung, [listener, file]):
                for what, often in times.items():
                    # What is done for the first time costs more.
                    for number in (often // 10, often):
                        command = ["/bin/loop", what, str(number), targets.get(what, "/script")]
                        taken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    print("COST", json.dumps([rung, what, float(taken)]), flush=True)  # noqa: T201 - that is how a guest speaks
        OTHER.unlink()


if __name__ == "__main__":
    main()
