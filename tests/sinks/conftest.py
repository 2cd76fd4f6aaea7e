"""Alerts for the sinks."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from sockwarden.alerts import Detector, build
from sockwarden.health import Trouble, document_of

Make = Callable[..., dict[str, Any]]


def _detector(name: str, severity: Any) -> Detector:
    technique = {"id": "T1611", "name": "Escape to Host"}
    tactic = {"id": "TA0004", "name": "Privilege Escalation"}
    threat = [{"tactic": tactic, "technique": [technique]}]
    return Detector(name, name, severity, 73, "1", threat, {})


@pytest.fixture
def alert() -> Make:
    """`alert(pid, rule=…, serial=…)` makes the alert of one access."""

    def make(
        pid: int, *, rule: str = "A Rule", serial: int = 1, title: str = "curl", severity: str = "high"
    ) -> dict[str, Any]:
        document = {
            "_index": "sockwarden",
            "_id": f"{pid}-{serial}",
            "@timestamp": f"2026-11-22T10:00:{serial % 60:02}.000Z",
            "event": {"kind": "event", "action": "connected-to", "outcome": "success"},
            "process": {"pid": pid, "executable": "/usr/bin/curl", "title": title},
            "sockwarden": {"socket": {"runtime": "docker", "canonical": "/run/docker.sock"}},
        }
        return build(document, _detector(rule, severity), view=None)

    return make


@pytest.fixture
def health_alert() -> dict[str, Any]:
    """An alert of a trouble of the sensor's."""
    trouble = Trouble("audit-disabled", "Audit was switched off; it is on again.", "enabled 0\x1b[31m\nby pid 3")
    return build(document_of(trouble, 1_795_000_000.0), _detector("Watching Impaired", "critical"), view=None)


class Hook:
    """A web server on a port of this machine that answers as it is told, the last answer again and again.

    answers  code, headers and body of each; a code of 0 breaks the connection off, a negative one answers after so many
             seconds
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(200, {}, b"ok")]
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """Listens; again on the same port after `stop`."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # whoever sent it was killed meanwhile: no server takes half a request
                    self.close_connection = True
                    return
                code, headers, answer = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
                if code < 0:
                    time.sleep(-code)
                if code <= 0:
                    self.close_connection = True
                    return
                hook.requests.append(({**self.headers}, body))
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self.server.server_address[1]
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Is away."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def bodies(self) -> list[Any]:
        """What came, decoded."""
        return [json.loads(body) for _, body in self.requests]


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A web server that takes everything, until it is told otherwise."""
    hook = Hook()
    hook.start()
    yield hook
    hook.stop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again after a twentieth of a second."""
    monkeypatch.setattr("sockwarden.sinks.worker.FIRST_DELAY", 0.05)
    monkeypatch.setattr("sockwarden.sinks.worker.MOST_DELAY", 0.05)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that nobody trusts unasked."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """Of a server with a certificate for `localhost` by that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.fixture(name="until")
def _until() -> Callable[..., None]:
    return until
