"""Whether one value of a document lies in a range: numbers by value, dates by instant, addresses by number, any
other text by its characters (code points, which is the order of Elasticsearch's keywords).
"""

from __future__ import annotations

import operator as comparison
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from sockwarden.kql.dates import Clock, parse_bound, parse_instant
from sockwarden.kql.tree import Constant, Literal, Operator
from sockwarden.kql.values import ValueTest, parse_address, parse_number

# Any: the two sides are of one kind, whichever it is; typeshed has no name for what compares with itself.
_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    "lt": comparison.lt,
    "lte": comparison.le,
    "gt": comparison.gt,
    "gte": comparison.ge,
}


def range_test(operator: Operator, literal: Literal, clock: Clock, *, ip: bool) -> ValueTest:
    """The test of `field < literal` and its kin; `ip` where the field holds IP addresses."""
    if literal == Constant(None):
        return lambda _: True  # Elasticsearch takes a null bound for no bound
    text = str(literal)
    holds = _COMPARISONS[operator]
    number = parse_number(text)
    instant = parse_bound(text, clock, round_up=operator in ("gt", "lte"))
    address = parse_address(text) if ip else None

    def test(value: object) -> bool:
        if isinstance(value, str):
            if address is not None and (other := parse_address(value)) is not None:
                return holds(_order(other), _order(address))
            if instant is not None and (moment := parse_instant(value)) is not None:
                return holds(moment, instant())
            return holds(value, text)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return number is not None and holds(value, number.beside(value))

    return test


def _order(address: IPv4Address | IPv6Address) -> int:
    """Elasticsearch orders IPv4 among IPv6 as mapped addresses."""
    return int(address) | 0xFFFF << 32 if address.version == 4 else int(address)
