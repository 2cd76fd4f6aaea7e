"""Clients that want the decoder to stall, to grow or to fail: what others ask is told all the same."""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import BaseRequestHandler

import pytest
from asking import until_quiet
from doors import ADDRESS, served
from runtimes import run
from watching import SENSORS, Watch, watching

from sockwarden.document import get
from sockwarden.store import Store

pytestmark = pytest.mark.host

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CREATE = b"POST /containers/create HTTP/1.1\r\nHost: d\r\n"
MOST_MEMORY = 200 << 20
"""Bytes that a worker may have resident: what it begins with is 40 MB."""
BESIDE = 100
"""Requests that an honest client makes meanwhile."""
MOST_LOOKED_AT = 200_000
"""Of the newest in the store."""


class _Swallowing(BaseRequestHandler):
    """Reads whatever it is sent, and answers the honest."""

    def handle(self) -> None:
        connection: socket.socket = self.request
        while data := connection.recv(65536):
            if data.startswith(b"GET /honest"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def message(payload: bytes, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(payload)) + payload


def with_body(body: bytes) -> bytes:
    return CREATE + b"Content-Length: %d\r\n\r\n" % len(body) + body


# A header that was put into the table once, and is named with a byte each, thousands of times.
_BOMB = b"\x40\x01x\x7f\x80\x1e" + b"v" * 4000 + b"\xbe" * 12_000
_GRPC = b"\x83\x86\x44\x02/x\x5f\x10application/grpc"
_ZIPPED = _GRPC + b"\x40\x0dgrpc-encoding\x04gzip"

HOSTILE: dict[str, bytes] = {
    "head without end": b"GET /" + b"a" * 3_000_000,
    "a million headers": CREATE + b"A: b\r\n" * 300_000,
    "chunks of one byte": CREATE + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200_000,
    "a chunk's size without end": CREATE + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 1_000_000,
    "pipelined without end": b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * 3_000,
    "deep JSON": with_body(b'{"HostConfig":' * 4_000),
    "deep lists": with_body(b'{"Cmd":' + b"[" * 60_000),
    "one key again and again": with_body(b"{" + b'"HostConfig":{"Privileged":true},' * 1_900 + b'"a":1}'),
    "many mounts": with_body(json.dumps({"HostConfig": {"Binds": [f"/{each}:/x" for each in range(4_000)]}}).encode()),
    "a number without end": with_body(b'{"a":' + b"9" * 65_000 + b"}"),
    "escapes": with_body(b'{"Image":"' + rb"\ud800" * 10_000 + b'"}'),
    "segments": b"GET /" + b"../a/%2e%2e/" * 5_000 + b" HTTP/1.1\r\nHost: d\r\n\r\n",
    "a query of 60 KB": b"GET /containers/json?" + b"a=%41&" * 10_000 + b" HTTP/1.1\r\nHost: d\r\n\r\n",
    "an HPACK bomb": PREFACE + frame(4, 0, 0, b"") + frame(1, 4, 1, _BOMB[:16_384]),
    "continuations": PREFACE + frame(1, 0, 1, _GRPC) + frame(9, 0, 1, b"\x40\x01x\x01y") * 50_000,
    "streams": PREFACE + b"".join(frame(1, 4, 2 * each + 1, _GRPC) for each in range(30_000)),
    "settings": PREFACE + frame(4, 0, 0, b"\x00\x01\xff\xff\xff\xff" * 2_000) * 20,
    "frames of nothing": PREFACE + frame(0, 0, 1, b"") * 200_000,
    "a zipped bomb": PREFACE
    + frame(1, 4, 1, _ZIPPED)
    + frame(0, 1, 1, message(gzip.compress(b"\0" * 8_000_000), compressed=1)[:16_384]),
    "protobuf in protobuf": b"\0\0\xff\xf0\0\0\0\x01\x01\0" + b"\x1a\xf0\xff\x03" * 16_000,
    "ttrpc messages of nothing": (struct.pack(">IIBB", 0, 1, 1, 0)) * 200_000,
    "noise": bytes(range(256)) * 10_000,
}


@pytest.fixture
def watch(require: Callable[..., str], audit: None, tmp_path: Path) -> Iterator[Watch]:
    with served(_Swallowing), watching(tmp_path, *SENSORS["ebpf"]) as running:
        honest(running, "begins")
        yield running


def connected() -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(ADDRESS))
    return client


def ask(*paths: str) -> None:
    """By a process of its own, as another client is."""
    run("curl", "--silent", "--unix-socket", ADDRESS, *(f"http://d/honest/{path}" for path in paths))


def honest(watch: Watch, path: str) -> None:
    """What an honest client asks is told."""
    ask(path)
    watch.until(lambda: path in told(watch), f"{path} is told", 30)


def told(watch: Watch) -> set[str]:
    if not (watch.state / "sockwarden.db").exists():
        return set()
    with Store(watch.state, create=False) as store:
        return {str(get(one, "url.path")).rpartition("/")[2] for one in store.newest_accesses(MOST_LOOKED_AT)}


def memory(pid: int) -> int:
    """The most that a process has had resident, in bytes."""
    return int(re.findall(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) << 10


def test_no_bytes_stall_it_nor_make_it_grow_or_fail(watch: Watch) -> None:
    """Given connections of every hostile kind, when they have sent all they have, then one worker has borne them, in
    bounded memory, and what is asked afterwards is told.
    """
    _, worker = watch.decoder()
    for name, data in HOSTILE.items():
        with connected() as client:
            client.sendall(data)
        ask(re.sub(r"\W+", "-", name))
    names = {re.sub(r"\W+", "-", name) for name in HOSTILE}
    until_quiet(watch)
    assert names - told(watch) == set()
    assert watch.decoder()[1] == worker
    assert memory(worker) < MOST_MEMORY
    assert not any(get(alert, "event.action") == "requests-not-read" for alert in watch.alerts)


def test_a_crowd_of_half_requests_hides_nobody(watch: Watch) -> None:
    """Given a thousand connections that each hold half of a long request, when another client asks something, then that
    is told; of each of the others at least that it is unknown, or the half.
    """
    _, worker = watch.decoder()
    half = CREATE + b"Content-Length: 70000\r\n\r\n" + b'{"Image": "' + b"x" * 60_000
    crowd = [connected() for _ in range(1000)]
    try:
        for client in crowd:
            client.sendall(half)
        names = {f"beside-{number}" for number in range(BESIDE)}
        ask(*sorted(names))
        watch.until(lambda: names <= told(watch), "all are told", 30)
    finally:
        for client in crowd:
            client.close()
    assert watch.decoder()[1] == worker
    assert memory(worker) < MOST_MEMORY
