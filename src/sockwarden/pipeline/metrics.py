"""What a run counts, in Prometheus' text format 0.0.4: into a file, or on a port."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Literal

import msgspec

from sockwarden.errors import InputError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = 5.0
"""How long one request may take, from its first byte to its last; requests are answered one after another."""
_POLL = 0.1
"""Seconds after which `close` is noticed, at the latest."""
_VALUE = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class Metric(msgspec.Struct, frozen=True):
    """One metric. name begins with sockwarden_, a counter's ends with _total; samples: labels and value."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[tuple[dict[str, str], float], ...]


def render(metrics: Iterable[Metric]) -> str:
    """The text format."""
    lines: list[str] = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help.translate(_HELP)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def write_file(path: Path, text: str) -> None:
    """Puts a text in the place of the file at once, so that no reader sees a part. OSError where that fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        part.unlink()
    # 0644: the node exporter that collects it runs as another user.
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(text)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


class MetricsServer:
    """Answers GET /metrics on an address with its port, "127.0.0.1:9464" or "[::1]:9464", from a thread.

    text: gives the current metrics; called in that thread.
    """

    def __init__(self, listen: str, text: Callable[[], str]) -> None:
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        server = type("Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET})
        try:
            self._server: _Server = server((host, int(port)), _Handler)
        except (OSError, ValueError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            todo = "Choose an address of this machine and a free port in [metrics] listen."
            raise InputError("metrics cannot be served", where=listen, why=why, todo=todo) from None
        self._server.text = text
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port; of interest where 0 was asked for."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Ends the thread and frees the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_SECONDS)


class _Server(HTTPServer):
    allow_reuse_address = True
    request_queue_size = 16
    text: Callable[[], str]

    def server_bind(self) -> None:
        """Without the look-up of a host name that HTTPServer makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """A client that sends a byte now and then would keep every other from its answer."""
        deadline = threading.Timer(_SECONDS, _cut, (request,))
        deadline.daemon = True
        deadline.start()
        try:
            super().finish_request(request, client_address)
        finally:
            deadline.cancel()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no matter of ours."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server
    server_version = "sockwarden"
    sys_version = ""

    def do_GET(self) -> None:
        """The metrics; 404 for every other path."""
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        body = self.server.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are not logged."""


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{name}="{_text(value).translate(_VALUE)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
