"""Whether one value of a document is what a literal asks for, judged by the value's own type.

A text is compared as an Elasticsearch keyword (exact, case-sensitive), a number by its numeric value, a boolean
with `true` and `false`, and a text in an IP field as an address too.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sockwarden.kql.tree import Constant, Literal, Text, Wildcard

ValueTest = Callable[[object], bool]

_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,9})?")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Number:
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


def is_test(literal: Literal, *, ip: bool) -> ValueTest:
    """The test of `field:literal`; `ip` where the field holds IP addresses."""
    match literal:
        case Wildcard(pieces):
            fits = glob(pieces)
            return lambda value: isinstance(value, str) and fits(value)
        case Constant(None):
            return lambda _: False  # a null is never indexed
        case Constant() | Text():
            return _text_test(str(literal), ip=ip)


def is_untyped(text: str) -> bool:
    """Whether only a text can be equal to it, never a number or a boolean."""
    return text not in _BOOLEANS and not _NUMBER.fullmatch(text)


def _text_test(text: str, *, ip: bool) -> ValueTest:
    network = parse_network(text) if ip else None
    if is_untyped(text) and network is None:
        return functools.partial(operator.eq, text)
    number = parse_number(text)
    boolean = _BOOLEANS.get(text)

    def test(value: object) -> bool:
        if isinstance(value, str):
            return value == text or (network is not None and _inside(value, network))
        if isinstance(value, bool):
            return value is boolean
        return isinstance(value, (int, float)) and number is not None and number.beside(value) == value

    return test


def _inside(text: str, network: IPv4Network | IPv6Network) -> bool:
    address = parse_address(text)
    return address is not None and address in network


def glob(pieces: tuple[str, ...]) -> Callable[[str], bool]:
    """The test for a text that consists of the pieces in order with anything between them; never backtracks."""
    first, *middle, last = pieces
    shortest = sum(map(len, pieces))

    def fits(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for piece in middle:
            found = text.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return fits
