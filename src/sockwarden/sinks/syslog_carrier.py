"""How syslog messages get to a receiver: datagrams (RFC 5426), a stream with counted octets (RFC 6587, 3.4.1), the same
in TLS (RFC 5425).

None of them has an answer. A datagram is delivered when it left, and nobody knows whether it arrived. A stream is
delivered when the receiver's kernel has acknowledged every byte of it; what a receiver that crashes had not read by
then is lost unseen.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec

from sockwarden.document import Document
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.worker import Outcome, Refusal

Transport = Literal["udp", "tcp", "tls"]
_POLL = 0.01


class SyslogCarrier:
    """A Carrier to one receiver.

    message  makes the message of an alert
    context  for TLS: who is trusted; the receiver's certificate must name `host`
    """

    def __init__(
        self,
        host: str,
        port: int,
        transport: Transport,
        message: Callable[[Document], bytes],
        *,
        context: ssl.SSLContext | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._host = host
        self._port = port
        self._transport = transport
        self._message = message
        self._context = context
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._ended = threading.Event()

    @property
    def most_items(self) -> int:
        """Few, since all of a try are sent again when it fails."""
        return 100

    @property
    def most_bytes(self) -> int:
        """Of documents."""
        return 1 << 20

    def pause(self, now: float) -> float:  # noqa: ARG002 - a Carrier's method
        """None: the receiver is a program."""
        return 0.0

    def send(self, entries: Sequence[Entry]) -> Outcome:
        """Sends all of them over one connection, which stays open."""
        messages: list[tuple[Entry, bytes]] = []
        refused: list[Refusal] = []
        for entry in entries:
            try:
                messages.append((entry, self._message(msgspec.json.decode(entry.payload, type=dict[str, Any]))))
            except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
                refused.append(Refusal(entry, f"it is no alert: {error!r}"))
        done: list[Entry] = []
        again = ""
        try:
            if self._transport == "udp":
                self._send_datagrams(messages, done)
            else:
                self._send_stream(b"".join(b"%d %b" % (len(message), message) for _, message in messages))
                done = [entry for entry, _ in messages]
        except (OSError, ValueError) as error:
            self.close()
            again = _why(error)
        return Outcome(done, refused, again)

    def interrupt(self) -> None:
        """Ends what waits for the receiver."""
        self._ended.set()
        if connection := self._socket:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the connection."""
        if self._socket:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def _send_datagrams(self, messages: Sequence[tuple[Entry, bytes]], done: list[Entry]) -> None:
        if self._socket is None:
            family, kind, _, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind | socket.SOCK_CLOEXEC)
            self._socket.settimeout(self._timeout)
            self._socket.connect(address)
        for entry, message in messages:
            # An unreachable port that the host before answered with shows here, at the next datagram.
            self._socket.send(message)
            done.append(entry)

    def _send_stream(self, data: bytes) -> None:
        if self._socket and _gone(self._socket):
            self.close()
        connection = self._socket = self._socket or self._connected()
        until = time.monotonic() + self._timeout
        connection.settimeout(self._timeout)
        view = memoryview(data)
        while view:
            view = view[connection.send(view[:65_536]) :]
            if time.monotonic() > until:
                raise TimeoutError(f"it took not all within {self._timeout:g} s")
        while _unacknowledged(connection):
            if time.monotonic() > until or self._ended.wait(_POLL):
                raise TimeoutError("it did not acknowledge what was sent")

    def _connected(self) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout=self._timeout)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                self._socket = connection
                return self._context.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            self._socket = None
            raise
        return connection


def _gone(connection: socket.socket) -> bool:
    """Whether the receiver closed: it never says anything else. A write after that would be lost without an error."""
    connection.settimeout(0)
    try:
        # A TLS 1.3 receiver sends session tickets, which recv takes without giving anything.
        return connection.recv(4096) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes sent that the other kernel did not acknowledge: SIOCOUTQ, see tcp(7)."""
    waiting = int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    # Afterwards: a connection that breaks forgets what waited.
    if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, f"the connection broke: {os.strerror(error)}")
    return waiting


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved: {error.strerror}"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
