"""One field's clause of a query in DSL, by the field's type."""

from __future__ import annotations

import re
import time
from ipaddress import ip_network
from typing import Any

from sockwarden.kql.dates import parse_bound
from sockwarden.kql.kinds import DATES, EXACT, LIMITS, NUMBERS, WORDS
from sockwarden.kql.scalars import parse_address, parse_network, parse_number
from sockwarden.kql.tree import Constant, Is, Literal, Range, Text, Wildcard

TIME_ZONE = "UTC"
"""In which a date without a zone is read, and rounded."""

# As Kibana escapes; it takes a range from + to = (digits, `.`, `,` and more), where an escape changes nothing.
_QUERY_STRING = re.compile(r'[+-=&|><!(){}[\]^"~*?:\\/]')
MOST_PATTERN = 1000
"""Characters of a text with wildcards. It becomes an automaton, and Lucene gives up after 10,000 units of effort; a
text that repeats itself gets there earlier.
"""
_WILDCARD = re.compile(r"[\\*?]")


class ImpossibleError(ValueError):
    """A value or a construct that a type cannot hold or answer."""


def clause(field: str, kind: str | None, node: Is | Range, *, typed: bool = False) -> dict[str, Any]:
    """The clause of `field:value` or of a range, for a field whose type may not be known; `typed` where it was looked
    up. Raises ImpossibleError.
    """
    if isinstance(node, Is) and isinstance(node.value, Wildcard) and node.value.is_lone:
        return {"exists": {"field": field}}
    if typed:
        _check(kind, node)
    bounds: dict[str, Any]
    if isinstance(node, Range):
        bounds = {node.operator: _plain(node.value)}
    elif isinstance(node.value, Wildcard):
        if kind in EXACT:
            return {"wildcard": {field: {"value": _wildcard(node.value)}}}
        return {"query_string": {"fields": [field], "query": query_string(node.value)}}
    elif kind in DATES:
        bounds = {"gte": _plain(node.value), "lte": _plain(node.value)}
    else:
        asked = "match_phrase" if isinstance(node.value, Text) and node.value.quoted else "match"
        return {asked: {field: _plain(node.value)}}
    if kind in DATES:
        bounds["time_zone"] = TIME_ZONE
    return {"range": {field: bounds}}


def query_string(value: Wildcard) -> str:
    """A text with wildcards for `query_string`, everything else of its syntax escaped."""
    return "*".join(_QUERY_STRING.sub(r"\\\g<0>", piece) for piece in value.pieces)


def _wildcard(value: Wildcard) -> str:
    r"""For a `wildcard` query, where `?` would stand for any character."""
    return "*".join(_WILDCARD.sub(r"\\\g<0>", piece) for piece in value.pieces)


def _plain(value: Literal) -> str | bool | None:
    return str(value) if isinstance(value, Wildcard) else value.value


def _check(kind: str | None, node: Is | Range) -> None:
    """Raises ImpossibleError where Elasticsearch would fail instead of answering."""
    value, text = node.value, str(node.value)
    if value == Constant(None):
        if isinstance(node, Is):
            raise ImpossibleError("Elasticsearch takes no null to look for; `not field:*` finds what is missing")
        return
    if isinstance(value, Wildcard) and len(text) > MOST_PATTERN:
        raise ImpossibleError(f"Elasticsearch compiles no pattern of more than some {MOST_PATTERN} characters")
    if kind is None or kind in EXACT or kind in WORDS:
        return
    if isinstance(value, Wildcard):
        raise ImpossibleError(f"a field of type {kind} takes no wildcards")
    if kind in NUMBERS:
        _check_number(kind, text)
    elif kind == "boolean":
        if text not in ("true", "false"):
            raise ImpossibleError("a field of type boolean holds true or false only")
    elif kind == "ip":
        _check_address(text, network=isinstance(node, Is))
    elif kind in DATES:
        if parse_bound(text, time.time_ns, round_up=False, dates=True) is None:
            raise ImpossibleError(f"a field of type {kind} takes ISO dates, milliseconds since 1970 and date math")
    else:
        raise ImpossibleError(f"a field of type {kind} can only be asked whether it exists")


def _check_number(kind: str, text: str) -> None:
    number = parse_number(text)
    if number is None:
        raise ImpossibleError(f"a field of type {kind} holds numbers only")
    least, most = LIMITS[kind]
    if not least <= number.exact <= most:
        raise ImpossibleError(f"the number lies outside what a field of type {kind} holds")


def _check_address(text: str, *, network: bool) -> None:
    known = parse_network(text) if network else parse_address(text)
    if known is None or "%" in text:
        raise ImpossibleError("a field of type ip takes an IP address, or a network where it is compared for equality")
    if "/" in text and getattr(ip_network(text, strict=False).network_address, "ipv4_mapped", None):
        raise ImpossibleError("Elasticsearch takes no network of IPv4 addresses mapped into IPv6")
