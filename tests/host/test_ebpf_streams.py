"""What passes over a connection, by real programs in the kernel: the daemon's own reads, whichever way it reads and
whichever way the client sends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import reading

from sockwarden.sensors.ebpf.records import IDENTITY, Identity
from sockwarden.sensors.ebpf.sensor import EbpfSensor
from sockwarden.sensors.ebpf.streams import PART_SIZE, Part, Ring, Wanted, part_of
from sockwarden.sockets.places import Mounts

pytestmark = pytest.mark.host
_READER = Path(reading.__file__)
SENT = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 3
RECEIVED, ANSWERED = 0, 1


@pytest.fixture
def sensor(require: Callable[..., str]) -> Iterator[EbpfSensor]:
    require("true", root=True)
    opened = EbpfSensor()
    opened.open()
    try:
        yield opened
    finally:
        opened.close()


class Reader:
    """A daemon that reads in one way, and what the programs tell of its connections."""

    def __init__(self, sensor: EbpfSensor, path: Path, process: subprocess.Popen[str]) -> None:
        streams = sensor.streams
        assert streams
        self.path, self.process = path, process
        self.ring, self.wanted = Ring(streams.ring, streams.ring_size), Wanted(streams.wanted)
        self._parts: list[Part] = []

    def parts(self, direction: int) -> list[Part]:
        """What was told of this daemon so far, of one direction."""
        self._parts += [part_of(record) for record in self.ring.take(10_000)]
        return [part for part in self._parts if part.direction == direction and part.server == self.process.pid]

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def goes_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def daemon(sensor: EbpfSensor, path: Path, way: str) -> Iterator[Reader]:
    command = [sys.executable, str(_READER), str(path), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        reader = Reader(sensor, path, process)
        assert reader.says() == "listening"
        place = path.lstat()
        major, minor = map(int, (os.major(place.st_dev), os.minor(place.st_dev)))
        assert Mounts().device(str(path)) == f"{major:02x}:{minor:02x}"
        sensor.watch({IDENTITY.pack(Identity.BY_FILE, major << 20 | minor, place.st_ino)})
        try:
            yield reader
        finally:
            process.kill()


def plainly(client: socket.socket) -> None:
    client.sendall(SENT)


def in_pieces(client: socket.socket) -> None:
    os.writev(client.fileno(), [SENT[at : at + 9] for at in range(0, len(SENT), 9)])


def by_sendfile(client: socket.socket) -> None:
    descriptor = os.memfd_create("request")
    os.write(descriptor, SENT)
    assert os.sendfile(client.fileno(), descriptor, 0, len(SENT)) == len(SENT)


def by_splice(client: socket.socket) -> None:
    out, into = os.pipe()
    os.write(into, SENT)
    assert os.splice(out, client.fileno(), len(SENT)) == len(SENT)


def byte_by_byte(client: socket.socket) -> None:
    for each in SENT:
        client.send(bytes([each]))


SENDING = [plainly, in_pieces, by_sendfile, by_splice, byte_by_byte]


@pytest.mark.parametrize("way", [way for way in reading.WAYS if way != "long"])
def test_whichever_way_it_is_read(sensor: EbpfSensor, tmp_path: Path, way: str) -> None:
    """Given a daemon that reads in some way, when it is sent requests, then each byte is told once, and the answer."""
    with daemon(sensor, tmp_path / "daemon.sock", way) as reader:
        sent(reader, plainly)
        parts = reader.parts(RECEIVED)
        assert joined(parts) == SENT
        assert not parts[-1].data and parts[-1].offset == len(SENT)
        assert {(part.at_start, part.connector) for part in parts} == {(True, os.getpid())}
        assert joined(reader.parts(ANSWERED)) == reading.ANSWER


@pytest.mark.parametrize("sending", SENDING)
def test_whichever_way_it_is_sent(sensor: EbpfSensor, tmp_path: Path, sending: Callable[[socket.socket], None]) -> None:
    """Given a client that sends in some way, when its requests are read, then each byte is told once."""
    with daemon(sensor, tmp_path / "daemon.sock", "recv") as reader:
        sent(reader, sending)
        assert joined(reader.parts(RECEIVED)) == SENT


def test_a_client_that_is_gone_before_it_is_accepted_is_known(sensor: EbpfSensor, tmp_path: Path) -> None:
    """Given a client that closed at once, when its connection is accepted, then it is told by its own inode."""
    with daemon(sensor, tmp_path / "daemon.sock", "recv") as reader:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(reader.path))
            client.sendall(SENT)
            inode = os.fstat(client.fileno()).st_ino
        reader.goes_on()
        while not joined(reader.parts(RECEIVED)):
            time.sleep(0.01)
        assert {part.client for part in reader.parts(RECEIVED)} == {inode}


def test_what_is_not_wanted_is_not_told(sensor: EbpfSensor, tmp_path: Path) -> None:
    """Given bytes that are not wanted, when they are read, then what follows has its offset in the whole."""
    with daemon(sensor, tmp_path / "daemon.sock", "recv") as reader, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(reader.path))
        reader.goes_on()
        client.sendall(b"first")
        while not reader.parts(RECEIVED):
            time.sleep(0.01)
        reader.wanted.set(reader.parts(RECEIVED)[0].socket, 1000, 0, whole=False)
        client.sendall(b"x" * 995 + b"after")
        client.shutdown(socket.SHUT_WR)
        assert reader.says() == "1005"
        told = [(part.offset, part.data) for part in reader.parts(RECEIVED)]
        assert told == [(0, b"first"), (1000, b"after"), (1005, b"")]


def test_what_one_read_takes_at_once_is_told_in_parts(sensor: EbpfSensor, tmp_path: Path) -> None:
    """Given a read of 100 KB, when it is told, then the first 64 KiB are whole, and the rest is a gap."""
    with daemon(sensor, tmp_path / "daemon.sock", "long") as reader, socket.socket(socket.AF_UNIX) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client.connect(str(reader.path))
        client.sendall(b"x" * 100_000)
        client.shutdown(socket.SHUT_WR)
        reader.goes_on()
        assert reader.says() == "100000"
        parts = reader.parts(RECEIVED)
        assert [part.offset for part in parts][:2] == [0, PART_SIZE]
        assert parts[-1].offset == 100_000 and not parts[-1].data
        assert sum(len(part.data) for part in parts) >= 4 * PART_SIZE


def test_a_connection_to_another_socket_is_left_alone(sensor: EbpfSensor, tmp_path: Path) -> None:
    """Given a daemon whose socket is not watched, when it reads, then nothing is told of it."""
    with daemon(sensor, tmp_path / "daemon.sock", "recv") as reader:
        sensor.watch(set())
        sent(reader, plainly)
        assert reader.parts(RECEIVED) == []


def test_a_connection_that_was_there_before_is_told_as_such(sensor: EbpfSensor, tmp_path: Path) -> None:
    """Given a connection that was accepted before its socket was watched, when its daemon is named, then what it reads
    is told, not as from the start.
    """
    with daemon(sensor, tmp_path / "daemon.sock", "recv") as reader, socket.socket(socket.AF_UNIX) as client:
        watched = set(sensor._watched)
        sensor.watch(set())
        client.connect(str(reader.path))
        reader.goes_on()
        client.sendall(b"before")
        time.sleep(0.1)
        sensor.watch(watched)
        sensor.serve([reader.process.pid])
        client.sendall(b"after")
        client.shutdown(socket.SHUT_WR)
        reader.says()
        assert [(part.data, part.at_start) for part in reader.parts(RECEIVED)][:1] == [(b"after", False)]


def sent(reader: Reader, sending: Callable[[socket.socket], None]) -> None:
    """Sends, and waits until it was read and answered."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(reader.path))
        reader.goes_on()
        sending(client)
        client.shutdown(socket.SHUT_WR)
        assert reader.says() == str(len(SENT))
        assert client.recv(4096) == reading.ANSWER


def joined(parts: list[Part]) -> bytes:
    """The bytes in their order, without a gap."""
    data = b""
    for part in parts:
        assert part.offset == len(data)
        data += part.data
    return data
