"""What tests of the audit sensor do and read."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from sockwarden.auditrecords import Record, parse_datagram
from sockwarden.sensors.audit import AuditSensor


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(128)
    return listener


def connect(path: Path) -> None:
    """In a process of its own: one that is older than audit's first enabling is never recorded."""
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=30)


def records_of(sensor: AuditSensor, kind: str, text: bytes) -> list[Record]:
    """The records of one type that hold a text, once the first has come."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        select.select([sensor], [], [], 1)
        parsed = [parse_datagram(datagram) for datagram in sensor.receive(1000)]
        if found := [
            record for record in parsed if isinstance(record, Record) and record.type == kind and text in record.body
        ]:
            return found
    raise AssertionError(f"no {kind} record with {text!r} within 15 s")
