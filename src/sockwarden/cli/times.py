"""Times on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sockwarden.errors import UsageError

_AGO = re.compile(r"now(?:-(\d{1,6})([smhdw]))?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc(text: str | None, *, option: str) -> str:
    """A time as documents carry it, empty for None. Takes ISO 8601 (UTC unless it says otherwise), a date, `now-2h`."""
    if text is None:
        return ""
    try:
        if match := _AGO.fullmatch(text):
            moment = datetime.now(UTC)
            if match[1]:
                moment -= timedelta(**{_UNITS[match[2]]: int(match[1])})
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {text[:60]} is no time",
            todo="Write 2026-11-21, '2026-11-21 20:14', 2026-11-21T20:14:03+01:00 or now-2h.",
        ) from error
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
