"""When a rule looks, and how much it lets through."""

from __future__ import annotations

from collections.abc import Iterator

from sockwarden.rules.lint.finding import Found, Severity
from sockwarden.rules.lint.rulefile import RuleFile
from sockwarden.rules.moments import span_ms, window

CODES: dict[str, tuple[Severity, str]] = {
    "interval-form": ("warning", "A span that Elastic's loader refuses (weeks), or seconds that are whole minutes."),
    "to-form": ("warning", "`to` other than `now` leaves the newest documents out of every run."),
    "window-empty": ("error", "`from` is not before `to`: no run looks at anything."),
    "window-gap": (
        "error",
        "The window is shorter than the interval: between two runs, documents are never looked at.",
    ),
    "look-back": (
        "warning",
        "The window is hardly longer than the interval: a document that arrives late is never seen.",
    ),
    "max-signals-cap": ("warning", "Kibana makes at most 1000 alerts a run, whatever `max_signals` says."),
}

ALERTS_CAP = 1000
"""Kibana's `xpack.alerting.rules.run.alerts.max` by default."""

_LEAST_LOOK_BACK = 60_000
_SOME_TIME = 1_700_000_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}


def check(file: RuleFile) -> Iterator[Found]:
    """Forms, the window against the interval, and the cap."""
    yield from _forms(file)
    rule = file.rule
    start, end = window(rule, _SOME_TIME)
    length, interval = end - start, span_ms(rule.interval)
    place = file.at("rule", "from")
    spans = f"the window is {_span(length)} long and a run comes every {rule.interval}"
    if length <= 0:
        yield Found(
            "window-empty",
            place,
            f"no run looks at anything: from `{rule.from_}` to `{rule.to}`",
            f'Write from = "now-{_span(interval + 4 * _LEAST_LOOK_BACK)}".',
        )
    elif length < interval:
        yield Found(
            "window-gap",
            place,
            f"{spans}: {_span(interval - length)} of each are never looked at",
            f'Write from = "now-{_span(interval + 4 * _LEAST_LOOK_BACK)}", or a shorter interval.',
        )
    elif length - interval < _LEAST_LOOK_BACK:
        yield Found(
            "look-back",
            place,
            f"{spans}: a document that arrives later than {_span(length - interval)} is never seen",
            f'Write from = "now-{_span(interval + 4 * _LEAST_LOOK_BACK)}", or further back.',
        )
    if rule.max_signals > ALERTS_CAP:
        yield Found(
            "max-signals-cap",
            file.at("rule", "max_signals"),
            f"Kibana makes at most {ALERTS_CAP} alerts a run, not {rule.max_signals}",
            f"Write {ALERTS_CAP} or less.",
        )


def _forms(file: RuleFile) -> Iterator[Found]:
    for key, text in (("from", file.rule.from_), ("to", file.rule.to), ("interval", file.rule.interval)):
        span = text.removeprefix("now-")
        if key not in file.table or span == "now":
            continue
        if span.endswith("w"):
            days = f"{int(span[:-1]) * 7}d"
            todo, why = f"Write `{text.replace(span, days)}`.", "Elastic's loader knows no weeks"
            yield Found("interval-form", file.at("rule", key), f"`{key}`: {why}", todo)
        elif span.endswith("s") and not (plain := _span(span_ms(span))).endswith("s"):
            todo = f"Write `{text.replace(span, plain)}`."
            yield Found("interval-form", file.at("rule", key), f"`{key}`: `{span}` is {plain}", todo)
    if file.rule.to != "now":
        yield Found(
            "to-form",
            file.at("rule", "to"),
            f"`to` is `{file.rule.to}`: every run leaves the newest documents to a later one",
            'Leave it out, or write to = "now".',
        )


def _span(milliseconds: int) -> str:
    """In the largest of seconds, minutes and hours that says it without a rest."""
    seconds = milliseconds // 1000
    for unit in ("h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
