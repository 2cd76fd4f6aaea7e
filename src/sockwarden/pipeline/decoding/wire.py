"""What the decoder's process tells the watch: MessagePack, a message in a packet. Everything in it is bounded, and
redacted; it is checked again where it comes out, since whoever sends it has read hostile bytes.
"""

from __future__ import annotations

import msgspec

from sockwarden.requests.describe import Described, Returned

MOST_BYTES = 128 << 10
"""Of one message."""


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """A connection, as the programs know it: inodes of the accepted socket and of the client's end (0: not known), the
    file and device that the listener is bound to, the pids that connected and that read.
    """

    socket: int
    client: int
    file: int
    device: int
    connector: int
    server: int


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """A request, or that nobody can tell any more what is asked over a connection. time: ns of CLOCK_MONOTONIC, when
    the last of its bytes that count was read.
    """

    connection: Connection
    time: int
    described: Described


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The answer to a request, by its number."""

    socket: int
    returned: Returned


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The decoder is at work. worker: its pid; connections: that it follows; given_up: of these, so far, for others
    that came; rejected: records that were none.
    """

    worker: int
    connections: int
    given_up: int
    rejected: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A decoder ends, or cannot begin. what: the kind of error and the line of ours, or what keeps it from beginning;
    nothing of what it had read. begun: whether it was at work.
    """

    what: str
    begun: bool = True


class Done(msgspec.Struct, frozen=True, tag="done"):
    """All that had passed before the watch asked for it is told."""


LAST = b"last"
"""The one thing that a worker is told: nothing more passes, and it is to tell what it has."""
Message = Asked | Answered | Beat | Failed | Done
DECODER = msgspec.msgpack.Decoder(Message)
ENCODER = msgspec.msgpack.Encoder()
