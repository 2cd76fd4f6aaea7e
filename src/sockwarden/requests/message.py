"""What is read off a connection, before anybody has judged or redacted it. It stays in the decoder's process."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import msgspec

MOST_BODY = 64 << 10
"""Bytes of a request's body that are kept, unless told otherwise."""
MOST_ANSWER = 4 << 10
"""Bytes of an answer's body that are kept."""
NEVER = 1 << 63
"""As an offset: nothing more is wanted of this direction."""


class Direction(IntEnum):
    """Of a stream's bytes, as the daemon sees them (enum direction in the sensor's programs)."""

    RECEIVED = 0
    SENT = 1


class Asked(msgspec.Struct, frozen=True):
    """A request.

    number     counts the requests of a connection from 0, in the order in which they began
    protocol   "http/1.1", "h2", "grpc", "ttrpc"; "unknown"
    method     HTTP's method; of gRPC and ttrpc "/package.Service/Method"; empty where it is unknown
    target     HTTP's request target as it came, byte for byte as Latin-1; empty for gRPC and ttrpc
    headers    names in lower case, as they came
    body       its first bytes, decoded from chunks, of gRPC the message without its prefix
    size       bytes of the whole body, None where that is not known
    truncated  the body has, or may have, bytes that are not in `body`
    """

    number: int
    protocol: str
    method: str
    target: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    size: int | None = None
    truncated: bool = False


class Answered(msgspec.Struct, frozen=True):
    """The answer to a request.

    number  of the request
    status  of HTTP; for gRPC and ttrpc the RPC's own code (google.rpc.Code), None where none was seen
    body    its first bytes, decoded as that of a request
    """

    number: int
    status: int | None
    body: bytes = b""


class Unproven(msgspec.Struct, frozen=True):
    """From here on nobody can say where a request of this connection begins. why: a sentence's end, for people."""

    why: str


Event = Asked | Answered | Unproven


class Conversation(Protocol):
    """One connection, byte by byte in both directions. It never raises for what a peer sends, and keeps no more of it
    than some hundred KiB.
    """

    def feed(self, direction: Direction, offset: int, data: bytes) -> list[Event]:
        """Takes bytes that lie at an offset of their direction. Offsets grow; bytes may be missing between two calls:
        those that `wanted` said are not wanted, and others that were lost.
        """

    def wanted(self, direction: Direction) -> int:
        """The offset before which nothing more of a direction is wanted; NEVER for nothing at all."""

    @property
    def whole(self) -> bool:
        """Whether answers can be read only if all that is sent is told: HTTP/2 and ttrpc."""

    def overdue(self) -> list[Event]:
        """Requests that have begun and not come to their end, as they are: the daemon may have acted on them."""
