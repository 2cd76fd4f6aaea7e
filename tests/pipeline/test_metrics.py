"""Prometheus' text format, in a file and over HTTP."""

from __future__ import annotations

import http.client
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockwarden.errors import InputError
from sockwarden.pipeline import metrics as module
from sockwarden.pipeline.metrics import Metric, MetricsServer, render, write_file

METRICS = (
    Metric("sockwarden_accesses_total", "counter", "Accesses seen.", (({}, 1234),)),
    Metric(
        "sockwarden_lost_total",
        "counter",
        "Lost,\nby \\ reason.",
        (({"reason": 'a "b" \\ c\nd'}, 2), ({"reason": "x", "sensor": "audit"}, 0.5)),
    ),
    Metric("sockwarden_sockets", "gauge", "Watched.", ()),
)
TEXT = r"""# HELP sockwarden_accesses_total Accesses seen.
# TYPE sockwarden_accesses_total counter
sockwarden_accesses_total 1234
# HELP sockwarden_lost_total Lost,\nby \\ reason.
# TYPE sockwarden_lost_total counter
sockwarden_lost_total{reason="a \"b\" \\ c\nd"} 2
sockwarden_lost_total{reason="x",sensor="audit"} 0.5
# HELP sockwarden_sockets Watched.
# TYPE sockwarden_sockets gauge
"""


def test_the_text_format() -> None:
    assert render(METRICS) == TEXT


def test_into_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sockwarden.prom"
    path.write_text("old, and longer than what comes")
    with path.open() as reader:
        write_file(path, "new\n")
        assert reader.read() == "old, and longer than what comes"
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) & 0o044
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_file(tmp_path / "folder", "new\n")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    server = MetricsServer("127.0.0.1:0", lambda: render(METRICS))
    yield server
    server.close()


def ask(port: int, method: str, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], body


def test_over_http(server: MetricsServer) -> None:
    assert ask(server.port, "GET", "/metrics") == (200, module.CONTENT_TYPE, TEXT)
    assert ask(server.port, "GET", "/metrics?x=1")[0] == 200
    assert ask(server.port, "GET", "/")[0] == 404
    assert ask(server.port, "POST", "/metrics")[0] == 501


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01 no HTTP\r\n\r\n", b"", b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 500]
)
def test_rubbish_does_not_end_it(server: MetricsServer, rubbish: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(rubbish)
    assert ask(server.port, "GET", "/metrics")[0] == 200


def test_a_client_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 2.0)
    server = MetricsServer("127.0.0.1:0", lambda: "x 1\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
        slow.sendall(b"GET /met")
        assert ask(server.port, "GET", "/metrics")[0] == 200
        assert slow.recv(100) == b""
    server.close()


def test_ipv6() -> None:
    server = MetricsServer("[::1]:0", lambda: "x 1\n")
    with socket.create_connection(("::1", server.port), timeout=30) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.0 200")
    server.close()


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:{taken}", "203.0.113.1:0", "nonsense:0", "127.0.0.1:x", "127.0.0.1:99999"]
)
def test_an_address_that_cannot_be_had(server: MetricsServer, listen: str) -> None:
    with pytest.raises(InputError, match="metrics cannot be served"):
        MetricsServer(listen.format(taken=server.port), lambda: "")
