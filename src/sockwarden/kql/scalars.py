"""Numbers and addresses as texts spell them."""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,9})?")
_MAPPED = 0xFFFF << 32
"""Where IPv6 has IPv4's addresses (RFC 4291, 2.5.5.2)."""


class Number(msgspec.Struct, frozen=True):
    """A number in a query: exact beside integers, rounded as a double beside doubles."""

    exact: Decimal
    double: float

    def beside(self, value: float) -> Decimal | float:
        """The form that compares with the value without a loss on either side."""
        return self.exact if isinstance(value, int) else self.double


def parse_number(text: str) -> Number | None:
    """A decimal number as JSON writes it, loosely (`+1`, `.5`); no hexadecimal, no infinity, no NaN."""
    return Number(Decimal(text), float(text)) if _NUMBER.fullmatch(text) else None


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address; an IPv4 address mapped into IPv6 (RFC 4291, 2.5.5.2) is the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """A network in CIDR notation, or an address as a network of one."""
    if "/" not in text:
        address = parse_address(text)
        return None if address is None else ip_network(address)
    if not text.rpartition("/")[2].isdecimal():
        return None  # a netmask, which Elasticsearch does not take
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def address_number(address: IPv4Address | IPv6Address) -> int:
    """The address among all of IPv6, where an index keeps an IPv4 address as mapped."""
    return int(address) | _MAPPED if address.version == 4 else int(address)


def network_bounds(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """The numbers of the first and the last address; so an IPv4 address lies in `::/0`, as it does to an index."""
    return address_number(network.network_address), address_number(network.broadcast_address)
