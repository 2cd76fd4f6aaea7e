"""A gate before the node: it can hold a search while the one who asked is killed, and show a certificate."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from node import Node


class Gate(ThreadingHTTPServer):
    """Passes every request on to the node. url: where it listens; https where it has a certificate.

    searches  the searches to come: each is let through where True, and held where False; all further ones pass
    holding   set while one is held, until `open`
    """

    daemon_threads = True

    def __init__(self, node: Node, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.node = node
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"
        self.searches: list[bool] = []
        self.holding = threading.Event()
        self.opened = threading.Event()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked is gone, or refused the certificate: that is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Gate

    def do_GET(self) -> None:
        self._pass_on()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server asks for

    def _pass_on(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.split("?")[0] == "/_search" and self.server.searches and not self.server.searches.pop(0):
            self.server.holding.set()
            self.server.opened.wait(60)
        headers = {"content-type": "application/json"} if content else {}
        answer = self.server.node.http.request(self.command, self.path, content=content, headers=headers)
        with suppress(OSError):
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers.get("content-type", "application/json"))
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def gate(node: Node, context: ssl.SSLContext | None = None) -> Iterator[Gate]:
    """A gate that is open."""
    with Gate(node, context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.opened.set()
            server.shutdown()
            thread.join()
