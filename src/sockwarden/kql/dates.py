"""Dates in ranges: ISO 8601 as Elasticsearch's `strict_date_optional_time`, epoch milliseconds, and date math.

An instant is an integer of nanoseconds since 1970 UTC. A date without a zone is UTC.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?)?",
    re.ASCII,
)
_MILLISECONDS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z", re.ASCII)
"""As our own documents have it."""
_EPOCH_MILLISECONDS = re.compile(r"(-?\d{1,16})(?:\.(\d{1,6}))?", re.ASCII)
_SHORTEST = 5
"""Digits of milliseconds where nothing says that the field holds dates; four are a year, fewer no date of ours."""
_MATH = re.compile(r"(?:([+-])(\d{0,9})|/)([yMwdhHms])", re.ASCII)

_SECOND = 1_000_000_000
_UNITS = {"s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "H": 3600 * _SECOND, "d": 86400 * _SECOND}
_WEEK = 7 * _UNITS["d"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST = 10**16  # milliseconds
_MONDAY = 4 * _UNITS["d"]  # 1970-01-05

Clock = Callable[[], int]
"""Gives an instant when asked."""


def parse_instant(text: str) -> int | None:
    """A document's date, at least a whole day; None for any other text."""
    match = _ISO.fullmatch(text)
    return _instant(match, round_up=False) if match and match[3] else None


def parse_date(value: object) -> int | None:
    """A document's date as an index takes it by default: ISO 8601, or milliseconds since 1970 as a number or a text."""
    if isinstance(value, str):
        match = _ISO.fullmatch(value)
        return _instant(match, round_up=False) if match else _epoch(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FARTHEST:
        return None
    return int(value * 1_000_000) if isinstance(value, float) else parse_date(str(value))


def date_ms(value: object) -> int | None:
    """The same in whole milliseconds, as an index keeps a `date`."""
    if isinstance(value, str) and (match := _MILLISECONDS.fullmatch(value)):
        second = _second_of(match[1])
        return None if second is None else second + int(match[2])
    instant = parse_date(value)
    return None if instant is None else instant // 1_000_000


@lru_cache(64)
def _second_of(text: str) -> int | None:
    """Of a second of which many documents come, in milliseconds."""
    instant = parse_date(text)
    return None if instant is None else instant // 1_000_000


def parse_bound(text: str, clock: Clock, *, round_up: bool, dates: bool = False) -> Clock | None:
    """A query's date: ISO, epoch milliseconds, or `now` or `date||`, and date math such as `now-1d/d`.

    round_up is for `gt` and `lte`: a date without a time is the end of its day, `/d` goes to the end of the day.
    dates where the field is known to hold dates, so that a short number is one, too.
    """
    anchor, separator, math = text.partition("||")
    if not separator and text.startswith("now"):
        anchor, math = "now", text[3:]
    steps = list(_MATH.finditer(math))
    if "".join(step[0] for step in steps) != math:
        return None
    start = clock if anchor == "now" else _fixed(anchor, round_up=round_up and not steps, dates=dates)
    if start is None:
        return None

    def instant() -> int:
        moment = start()
        for step in steps:
            sign, count, unit = step[1], step[2], step[3]
            if sign is None:
                moment = _round(moment, unit, up=round_up)
            else:
                moment = _add(moment, int(f"{sign}{count or 1}"), unit)
        return moment

    return instant


def _fixed(text: str, *, round_up: bool, dates: bool) -> Clock | None:
    match = _ISO.fullmatch(text)
    if match:
        moment = _instant(match, round_up=round_up)
    elif dates or len(text.lstrip("-")) >= _SHORTEST:
        moment = _epoch(text, round_up=round_up)
    else:
        return None
    return None if moment is None else lambda: moment


def _epoch(text: str, *, round_up: bool = False) -> int | None:
    """Milliseconds since 1970, with a fraction; without one rounded up to the millisecond's end."""
    match = _EPOCH_MILLISECONDS.fullmatch(text)
    if match is None:
        return None
    fraction = (match[2] or ("999999" if round_up else "")).ljust(6, "0")
    return int(match[1]) * 1_000_000 + (-int(fraction) if match[2] and text.startswith("-") else int(fraction))


def _instant(match: re.Match[str], *, round_up: bool) -> int | None:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    missing = "59" if round_up else "0"
    try:
        date = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or ("23" if round_up else "0")),
            int(minute or missing),
            int(second or missing),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    nanoseconds = (fraction or ("999999999" if round_up else "")).ljust(9, "0")
    return _nanoseconds(date) + int(nanoseconds) - _offset(zone)


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    offset = int(digits[:2]) * _UNITS["h"] + int(digits[2:] or 0) * _UNITS["m"]
    return -offset if zone.startswith("-") else offset


def _nanoseconds(date: datetime) -> int:
    return (date - _EPOCH) // timedelta(seconds=1) * _SECOND


def _add(moment: int, count: int, unit: str) -> int:
    if unit == "w":
        return moment + count * _WEEK
    if unit not in "yM":
        return moment + count * _UNITS[unit]
    date = _date(moment)
    months = date.year * 12 + date.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(min(max(months, 12), 9999 * 12 + 11), 12)
    day = min(date.day, monthrange(year, month + 1)[1])
    return _nanoseconds(date.replace(year=year, month=month + 1, day=day)) + moment % _SECOND


def _round(moment: int, unit: str, *, up: bool) -> int:
    if unit in "yM":
        date = _date(moment).replace(day=1, hour=0, minute=0, second=0)
        start = _nanoseconds(date.replace(month=1) if unit == "y" else date)
        return _add(start, 1, unit) - 1 if up else start
    length, origin = (_WEEK, _MONDAY) if unit == "w" else (_UNITS[unit], 0)
    start = moment - (moment - origin) % length
    return start + length - 1 if up else start


def _date(moment: int) -> datetime:
    """To the second, clamped to the years that Python's calendar has."""
    seconds = min(max(moment // _SECOND, -62_135_596_800), 253_402_300_799)
    return _EPOCH + timedelta(seconds=seconds)
