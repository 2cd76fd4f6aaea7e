"""When a rule looks, and when a document was: everything in milliseconds since 1970 UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sockwarden.document import Document, values
from sockwarden.kql.dates import date_ms, parse_bound

if TYPE_CHECKING:
    from sockwarden.rules.rule import Rule  # whose exceptions have times too

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_MILLISECOND = 1_000_000  # nanoseconds


def span_ms(text: str) -> int:
    """The length of a time span as rules write it: `5m`, `1h`; units s, m, h, d, w. ValueError for another text."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError(f"no time span: {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def window(rule: Rule, now_ms: int) -> tuple[int, int]:
    """What a run at this time looks at, from `from` to `to`, both inclusive."""
    return _moment(rule.from_, now_ms, round_up=False), _moment(rule.to, now_ms, round_up=True)


def time_of(document: Document, rule: Rule) -> int | None:
    """The document's time as the rule counts it: its timestamp_override where that is a date, else @timestamp unless
    the rule forbids it. None when there is none. Of several dates the earliest, by which Elasticsearch sorts.
    """
    if not rule.timestamp_override:
        return earliest(document, "@timestamp")
    moment = earliest(document, rule.timestamp_override)
    if moment is None and not rule.timestamp_override_fallback_disabled:
        return earliest(document, "@timestamp")
    return moment


def earliest(document: Document, field: str) -> int | None:
    """The earliest date of a field; None where it holds none."""
    dates = [date for date in map(date_ms, values(document, field)) if date is not None]
    return min(dates, default=None)


def _moment(text: str, now_ms: int, *, round_up: bool) -> int:
    bound = parse_bound(text, lambda: now_ms * _MILLISECOND, round_up=round_up)
    if bound is None:
        raise ValueError(f"no moment: {text!r}")
    return bound() // _MILLISECOND
