"""The bytes of struct sockaddr, as hex of a SOCKADDR record."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sockwarden.auditrecords.sockaddr import AF_INET, AF_INET6, AF_UNIX, Address, parse
from sockwarden.sockets import packaged
from sockwarden.sockets.aliases import kind_of, normalise

LONGEST = 256

_CAPTURES = Path(__file__).parents[1] / "tests" / "data" / "captures"


def seeds() -> Iterator[bytes]:
    """Each address of the captures, as bytes and as hex, and one of each inet family in each byte order."""
    for path in sorted(_CAPTURES.glob("*.audit.log")):
        for value in sorted(set(re.findall(rb" saddr=([0-9A-F]+)", path.read_bytes()))):
            yield value
            yield bytes.fromhex(value.decode())
    for family in ("0200", "0002"):
        yield bytes.fromhex(f"{family} 0947 7F000001") + bytes(8)
    for family in ("0A00", "000A"):
        yield bytes.fromhex(f"{family} 0947 00000000") + bytes(15) + b"\x01" + bytes(4)


def check(data: bytes) -> None:
    """Any value is some address, and the address says the same again when it is written as bytes."""
    for little_endian in (True, False):
        parse(data, little_endian=little_endian)
        address = parse(data.hex().upper().encode(), little_endian=little_endian)
        assert address == parse(data.hex().encode(), little_endian=little_endian)
        _is_consistent(address)
        raw = _written(address, "little" if little_endian else "big")
        assert raw is None or parse(raw.hex().encode(), little_endian=little_endian) == address
        _is_looked_up(address)


def _is_consistent(address: Address) -> None:
    assert bool(address.name) or address.kind not in ("path", "inet")
    assert address.kind != "path" or b"\0" not in address.name
    assert (address.version in (4, 6)) == (address.kind == "inet")
    assert 0 <= address.port <= 0xFFFF


def _written(address: Address, order: Literal["little", "big"]) -> bytes | None:
    """struct sockaddr of an address."""
    if address.kind in ("path", "abstract", "unnamed"):
        return AF_UNIX.to_bytes(2, order) + (b"\0" if address.kind == "abstract" else b"") + address.name
    if address.kind != "inet":
        return None
    host, _, port = address.name.decode().rpartition(":")
    assert int(port) == address.port
    ip = ipaddress.ip_address(host.strip("[]"))
    assert ip.version == address.version
    family, flow = (AF_INET, b"") if ip.version == 4 else (AF_INET6, bytes(4))
    return family.to_bytes(2, order) + address.port.to_bytes(2, "big") + flow + ip.packed


def _is_looked_up(address: Address) -> None:
    """The catalogue has an answer for any name, and the normal form of a path is one."""
    name = address.name.decode("utf-8", "backslashreplace")
    if address.kind == "inet":
        packaged().port(name, address.port)
    elif address.kind == "abstract":
        packaged().abstract(name)
    for directory in (None, "/", "/run/containerd", "/proc/self/cwd") if address.kind == "path" else ():
        path = normalise(name, directory)
        if path is None:
            assert directory is None and not name.startswith("/")
            continue
        assert path == "/" or (path[0] == "/" and {"", ".", ".."}.isdisjoint(path[1:].split("/"))), path
        if socket := packaged().path(path):
            kind_of(name, directory, socket.address)
