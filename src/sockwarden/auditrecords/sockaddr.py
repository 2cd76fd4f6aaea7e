"""A socket address: the bytes of struct sockaddr that the caller passed, in hex where an audit record has them.

sockaddr_un, sockaddr_in and sockaddr_in6 as in include/uapi/linux/{un,in,in6}.h; the family in the caller's byte
order, ports and inet addresses in network order.
"""

from __future__ import annotations

import socket
from typing import Literal

import msgspec

AF_UNIX = 1
AF_INET = 2
AF_INET6 = 10

Kind = Literal["path", "abstract", "unnamed", "inet", "other", "undecodable"]


class Address(msgspec.Struct, frozen=True, gc=False):
    """What a caller wanted to reach.

    name  path: the bytes up to the first NUL; abstract: the whole name without its leading NUL; inet: `addr:port`
    port  inet only
    """

    kind: Kind
    name: bytes = b""
    port: int = 0
    version: int = 0


UNDECODABLE = Address("undecodable")


def parse(value: bytes | None, *, little_endian: bool = True) -> Address:
    """An address from the hex of `saddr=`; anything that is not one is `undecodable`, never an error."""
    try:
        raw = bytes.fromhex((value or b"").decode("ascii"))
    except ValueError:
        return UNDECODABLE
    return of(raw, little_endian=little_endian)


def of(raw: bytes, *, little_endian: bool = True) -> Address:
    """An address from the bytes of struct sockaddr; see `parse`."""
    if len(raw) < 2:
        return UNDECODABLE
    family = int.from_bytes(raw[:2], "little" if little_endian else "big")
    if family == AF_UNIX:
        return _unix(raw[2:])
    if family == AF_INET and len(raw) >= 8:
        return _inet(raw[4:8], raw[2:4], 4)
    if family == AF_INET6 and len(raw) >= 24:
        return _inet(raw[8:24], raw[2:4], 6)
    return Address("other") if family not in (AF_INET, AF_INET6) else UNDECODABLE


def _unix(path: bytes) -> Address:
    """A leading NUL means abstract, and then every byte counts: `\\0/run/docker.sock` is no path at all."""
    if not path:
        return Address("unnamed")
    if path[0] == 0:
        return Address("abstract", path[1:])
    return Address("path", path.partition(b"\0")[0])


def _inet(address: bytes, port: bytes, version: int) -> Address:
    number = int.from_bytes(port, "big")
    # Not ipaddress: how it writes an IPv4 address inside an IPv6 one changed with Python 3.13.
    ip = socket.inet_ntop(socket.AF_INET6 if version == 6 else socket.AF_INET, address)
    text = f"[{ip}]:{number}" if version == 6 else f"{ip}:{number}"
    return Address("inet", text.encode(), number, version)
