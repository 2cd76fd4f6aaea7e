"""The watch's hand on the decoder's process: begins it while there are privileges, hears it, and has it begin anew when
it stalls. Whatever becomes of it, accesses are told.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from sockwarden.errors import InputError
from sockwarden.health import Trouble
from sockwarden.pipeline.decoding import wire
from sockwarden.pipeline.decoding.child import Handed
from sockwarden.pipeline.decoding.confinement import free_user
from sockwarden.pipeline.decoding.standing import Standing, not_read
from sockwarden.sensors.ebpf.streams import Streams

_START = "import sys; sys.path = sys.argv[2:]; from sockwarden.pipeline.decoding.child import main; main()"
"""With our own places of modules, and nothing of the environment."""
_PATIENCE = 2.0
"""Seconds for the process to end."""
_MOST_READ = 2000
"""Messages taken at once."""
_BUFFER = 4 << 20


class Reading(NamedTuple):
    """How requests are read: bytes of a body that are looked at, and whether bodies, redacted, are kept."""

    most_body: int
    bodies: bool


class Decoder:
    """One process, from its making to `close`.

    rejected   messages that were none
    is_done    it has told all that had passed when it was asked to finish
    """

    def __init__(self, streams: Streams, reading: Reading) -> None:
        self.rejected = 0
        self.is_done = False
        self._standing = Standing()
        self._told_gone = False
        # The decoder's end stays open here, too: else ours would be readable for ever once its process has ended.
        self._socket, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with control:
            self._out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            handed = Handed(
                streams.ring,
                streams.ring_size,
                streams.wanted,
                self._out.fileno(),
                control.fileno(),
                free_user(),
                *reading,
            )
            try:
                self._process = subprocess.Popen(  # noqa: S603 - this Python, our own module
                    [sys.executable, "-I", "-c", _START, msgspec.json.encode(handed), *sys.path],
                    pass_fds=(handed.ring, handed.wanted, handed.out, handed.control),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                )
            except OSError as error:
                self._close()
                why = os.strerror(error.errno or 0)
                raise InputError("the process that decodes requests cannot be started", why=why) from error

    def fileno(self) -> int:
        """Readable when it has told something."""
        return self._socket.fileno()

    def receive(self, now: float) -> Iterator[wire.Message]:
        """Some of what it has told. now: time.monotonic."""
        for _ in range(_MOST_READ):
            try:
                packet = self._socket.recv(wire.MOST_BYTES)
            except OSError:
                return
            if not packet:
                return
            try:
                message = wire.DECODER.decode(packet)
            except msgspec.DecodeError:
                self.rejected += 1
                continue
            self._standing.hear(message, now)
            if isinstance(message, wire.Done):
                self.is_done = True
            elif not isinstance(message, wire.Beat | wire.Failed):
                yield message

    def finish(self) -> None:
        """Asks it to tell what it has, since nothing more passes; then `is_done` will be true."""
        with suppress(OSError):
            self._socket.send(wire.LAST)

    def check(self, now: float) -> list[Trouble]:
        """Whether it is at work; has it begin anew where it is not. To be asked when all that it told was received."""
        if not self.is_alive:
            return self._gone()
        if stalls := self._standing.stalls(now):
            with suppress(OSError):
                self._control.send(b"!", socket.MSG_DONTWAIT)
        return self._standing.troubles(stalls=stalls)

    @property
    def last(self) -> wire.Beat:
        """Its last beat."""
        return self._standing.last

    def _gone(self) -> list[Trouble]:
        """Once: what makes it takes privileges that are given up by now."""
        if self._told_gone:
            return []
        self._told_gone = True
        why = f" ({self._standing.failed})" if self._standing.failed else ""
        return [
            not_read(f"the decoder's process has ended{why}, and requests are read again after a restart of the watch")
        ]

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process."""
        self._close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                self._process.kill()

    def _close(self) -> None:
        for one in (self._control, self._socket, self._out):
            one.close()
