"""Connects and opens that an io_uring carries out, by whoever carries them out, on the real kernel."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sockwarden.auditrecords import Assembler, Record, document_of, parse_datagram
from sockwarden.document import Document, get, values
from sockwarden.sensors.audit import AuditSensor

pytestmark = [pytest.mark.host, pytest.mark.usefixtures("audit")]
pytest_plugins = ["sensor_fixtures"]


def documents_of(sensor: AuditSensor) -> list[Document]:
    """The documents of the next accesses, once the first has come."""
    assembler, end = Assembler(), time.monotonic() + 15
    while time.monotonic() < end:
        select.select([sensor], [], [], 1)
        records = [parse_datagram(datagram) for datagram in sensor.receive(1000)]
        events = [event for record in records if isinstance(record, Record) for event in assembler.push(record)]
        if documents := [document for event in events if (document := document_of(event))]:
            return documents
    raise AssertionError("no access within 15 s")


@pytest.mark.parametrize(
    ("operation", "who", "action"),
    [
        ("connect", "caller", "connected-to"),
        ("connect", "worker", "connected-to"),
        ("connect", "poller", "connected-to"),
        ("connect", "register", "connected-to"),
        ("connect", "exec", "connected-to"),
        ("openat", "caller", "opened-file"),
        ("openat", "worker", "unknown-call"),
        ("openat", "poller", "opened-file"),
    ],
)
def test_io_uring(
    sensor: AuditSensor,
    address: Path,
    tmp_path: Path,
    require: Callable[..., str],
    operation: str,
    who: str,
    action: str,
) -> None:
    client = str(tmp_path / "client")
    source = Path(__file__).with_name("io_uring_client.c")
    subprocess.run([require("gcc"), "-O1", "-o", client, str(source)], check=True, timeout=60)
    done = subprocess.run([client, str(address), operation, who], check=True, capture_output=True, timeout=30)
    assert done.stdout == (b"0\n" if operation == "connect" else b"-6\n")
    document = documents_of(sensor)[0]
    assert get(document, "event.action") == action
    assert get(document, "sockwarden.sensor.hook") == "io_uring"
    # A connect takes its address as it is submitted: carried out later, it is in no record.
    given = None if operation == "connect" and who in ("worker", "register", "exec") else str(address)
    assert get(document, "sockwarden.socket.address_as_given") == given
    assert str(address.stat().st_ino) in values(document, "auditd.paths.inode")


def test_a_socket_that_is_run_as_a_program_is_an_unknown_call(sensor: AuditSensor, address: Path) -> None:
    with pytest.raises(PermissionError):
        subprocess.run([str(address)], check=True, timeout=30)
    document = documents_of(sensor)[0]
    assert get(document, "event.action") == "unknown-call"
    assert get(document, "sockwarden.socket.address_as_given") == str(address)
