"""A gRPC client that asks the same again, so that the method's name is an index into a table from the second time on:
`by_grpc.py SOCKET TIMES [later|upgrade]`. Prints each answer's grpc-status.

later    asks once more before, says `ready`, and goes on by SIGUSR1: whoever looks on from then lacks the table
upgrade  by Docker's POST /grpc, which leads to BuildKit
"""

from __future__ import annotations

import signal
import socket
import sys

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
VERSION, WORKERS = "/containerd.services.version.v1.Version/Version", "/moby.buildkit.v1.Control/ListWorkers"
NO_MESSAGE = bytes(5)
"""An empty message with its prefix: not compressed, of no bytes."""


class Connection:
    """One connection, HTTP/2 (RFC 9113) with what a request needs and no more."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(path)
        self._answers = self._socket.makefile("rb")
        self._encoder, self._decoder, self._stream = Encoder(), Decoder(), 1

    def upgrade(self) -> None:
        self._socket.sendall(UPGRADE)
        assert b" 101 " in self._answers.readline()
        while self._answers.readline().strip():
            pass

    def begin(self) -> None:
        self._socket.sendall(PREFACE + SettingsFrame(0).serialize())

    def ask(self, method: str) -> str:
        """Asks, and gives the RPC's status."""
        fields = [(":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "d")]
        fields += [("content-type", "application/grpc"), ("te", "trailers")]
        headers = HeadersFrame(self._stream, self._encoder.encode(fields), flags=["END_HEADERS"])
        message = DataFrame(self._stream, NO_MESSAGE, flags=["END_STREAM"])
        self._socket.sendall(headers.serialize() + message.serialize())
        while True:
            frame = self._frame()
            if isinstance(frame, HeadersFrame):
                told = {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
                if "grpc-status" in told:
                    self._stream += 2
                    return told["grpc-status"]
            elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                self._socket.sendall(SettingsFrame(0, flags=["ACK"]).serialize())

    def _frame(self) -> Frame:
        frame, length = Frame.parse_frame_header(memoryview(self._answers.read(9)))
        frame.parse_body(memoryview(self._answers.read(length)))
        return frame


def main() -> None:
    path, times, *how = sys.argv[1:4]
    connection, method = Connection(path), WORKERS if "upgrade" in how else VERSION
    if "upgrade" in how:
        connection.upgrade()
    connection.begin()
    if "later" in how:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        connection.ask(method)
        print("ready", flush=True)  # noqa: T201 - that is how it speaks
        signal.sigwait([signal.SIGUSR1])
    print(*(connection.ask(method) for _ in range(int(times))))  # noqa: T201


if __name__ == "__main__":
    main()
