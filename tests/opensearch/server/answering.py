"""Servers on loopback that answer as a test wants: what a cluster cannot be made to do."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = Callable[[BaseHTTPRequestHandler, bytes], None]
Serve = Callable[..., int]
"""`serve(handler, tls=None)` starts a server, gives its port."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that leaves is expected."""


class Servers:
    """Servers, each with one function for every request, which gets handler and body."""

    def __init__(self) -> None:
        self._servers: list[_Server] = []

    def start(self, handler: Handler, tls: ssl.SSLContext | None = None) -> int:
        """Starts one; gives its port."""

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def _handle(self) -> None:
                handler(self, self.rfile.read(int(self.headers.get("content-length", 0))))

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._handle
                raise AttributeError(name)

            def log_message(self, *_: object) -> None: ...

        server = _Server(("127.0.0.1", 0), Requests)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self._servers.append(server)
        return int(server.server_address[1])

    def stop(self) -> None:
        """Ends all of them."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def answer(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """A whole answer."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
