"""What a message tells a person of an alert, or of many at once: short lines of text, safe to show, not marked up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from sockwarden.alerts import RISK_SCORES, SEVERITIES, asked_of, socket_of
from sockwarden.document import Document, get, put
from sockwarden.sinks.access import failure, made_by
from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.fold import counted_only, more_like_it

MOST_VALUE = 300
"""Characters of one value."""
MOST_GROUPS = 10
_MOST_WORST = 3
_SUMMED = (
    "@timestamp",
    "kibana.alert.original_time",
    "host.name",
    "destination.address",
    "sockwarden.socket.canonical",
    "sockwarden.socket.address_as_given",
    "kibana.alert.severity",
    "kibana.alert.risk_score",
    "kibana.alert.reason",
    "kibana.alert.rule.name",
)


class Told(msgspec.Struct, frozen=True):
    """One message. title and text: a line each; facts: labels and values; foot: what to do."""

    severity: str
    title: str
    text: str
    facts: list[tuple[str, str]]
    foot: str


def of_alert(alert: Document) -> Told:
    """The message for one alert."""
    severity = _text(alert, "kibana.alert.severity") or "unknown"
    facts = [
        ("Host", _text(alert, "host.name")),
        ("Time", _time(alert)),
        ("Process", _joined(alert, "process.executable", "process.pid")),
        ("Command line", _text(alert, "process.command_line") or _text(alert, "process.title")),
        ("User", _text(alert, "user.name") or _text(alert, "user.id")),
        ("Container", _joined(alert, "container.name", "container.image.name") or _text(alert, "container.id")),
        ("Socket", " ".join(filter(None, (_text(alert, "sockwarden.socket.runtime"), _socket(alert))))),
        ("Address as given", _text(alert, "sockwarden.socket.address_as_given")),
        ("Asked", shorten(escape(asked_of(alert)), MOST_VALUE)),
        ("Story", story_of(alert)),
        ("Connection made by", shorten(escape(made_by(alert)), MOST_VALUE)),
        ("Failed", failure(alert)),
        ("Repeats", counted_only(alert) or more_like_it(alert)),
        ("Detail", _text(alert, "sockwarden.health.detail")),
    ]
    return Told(
        severity,
        f"{severity} {_text(alert, 'kibana.alert.risk_score')}: {_text(alert, 'kibana.alert.rule.name')}",
        _text(alert, "kibana.alert.reason") or _text(alert, "message"),
        [(label, value) for label, value in facts if value],
        f"sockwarden alerts show {(_text(alert, 'kibana.alert.uuid'))[:12]}",
    )


def story_of(alert: Document) -> str:
    """The story that an alert goes for: its level, what was asked in it, and how to see it; empty where nobody says."""
    if (level := get(alert, "sockwarden.story.level")) is None:
        return ""
    identity, summary = (str(get(alert, f"sockwarden.story.{field}") or "") for field in ("id", "summary"))
    reasons = get(alert, "sockwarden.story.reasons")
    why = f" ({', '.join(map(str, reasons))})" if isinstance(reasons, list) and reasons else ""
    return f"{escape(str(level))}{shorten(escape(why), MOST_VALUE)}: {escape(summary)}; story {escape(identity[:8])}"


def sentence(alert: Document) -> str:
    """Why there is an alert, in one sentence, and the story that it goes for."""
    reason = str(get(alert, "kibana.alert.reason") or get(alert, "message") or "alert")
    story = story_of(alert)
    return f"{reason}; in a story that is {story}" if story else reason


def summed(alert: Document) -> Document:
    """What `of_many` needs of an alert: ten thousand whole ones would fill the memory."""
    kept: Document = {}
    for field in _SUMMED:
        put(kept, field, get(alert, field))
    return kept


def of_many(alerts: Sequence[Document]) -> Told:
    """The message for alerts that came faster than messages may: how many of each rule on each socket, the most severe
    first, and the reasons of the worst.
    """
    by_severity = sorted(alerts, key=_rank, reverse=True)
    groups = Counter(
        (
            -_rank(alert),
            _text(alert, "kibana.alert.severity"),
            _text(alert, "kibana.alert.rule.name"),
            _socket(alert) or "no socket",
        )
        for alert in alerts
    )
    rows = sorted(groups.items(), key=lambda row: (row[0][0], -row[1]))
    facts = [
        (f"{count:,} times {severity}", f"{rule} on {socket}")
        for (_, severity, rule, socket), count in rows[:MOST_GROUPS]
    ]
    if rest := rows[MOST_GROUPS:]:
        facts.append(("and", f"{sum(count for _, count in rest):,} more of {len(rest):,} kinds"))
    worst = dict.fromkeys(_text(alert, "kibana.alert.reason") for alert in by_severity)
    facts += [("Among them", reason) for reason in list(worst)[:_MOST_WORST] if reason]
    severity = _text(by_severity[0], "kibana.alert.severity") or "unknown"
    hosts = sorted({_text(alert, "host.name") for alert in alerts} - {""})
    place = f" on {shorten(', '.join(hosts), MOST_VALUE)}" if hosts else ""
    times = sorted(filter(None, map(_time, alerts)))
    span = f", from {times[0]} to {times[-1]}" if times else ""
    return Told(
        severity,
        f"{len(alerts):,} more alerts, up to {severity}",
        f"{len(alerts):,} alerts came faster than messages may{place}{span}",
        facts,
        "sockwarden alerts list",
    )


def as_document(told: Told, alerts: Sequence[Document]) -> Document:
    """A message for many as a document that a template can be filled with. `sockwarden.summary.alerts`: how many."""
    reason = "; ".join([told.text, *(f"{label} {value}" for label, value in told.facts)])
    newest = max(alerts, key=_time)
    risk = max((int(get(alert, "kibana.alert.risk_score") or 0) for alert in alerts), default=0)
    signal = {"severity": told.severity, "risk_score": risk, "reason": reason, "rule": {"name": told.title}}
    return {
        "@timestamp": _time(newest),
        "message": told.text,
        "host": {"name": get(newest, "host.name")},
        "kibana": {"alert": signal},
        "sockwarden": {"summary": {"alerts": len(alerts)}},
    }


def _rank(alert: Document) -> int:
    severity = get(alert, "kibana.alert.severity")
    return RISK_SCORES[severity] if severity in SEVERITIES else 0


def _time(alert: Document) -> str:
    """The event's time: a run's alerts all have that of the run for their own."""
    return _text(alert, "kibana.alert.original_time") or _text(alert, "@timestamp")


def _text(alert: Document, field: str) -> str:
    value = get(alert, field)
    return "" if value is None else shorten(escape(str(value)), MOST_VALUE)


def _socket(alert: Document) -> str:
    return shorten(escape(socket_of(alert) or ""), MOST_VALUE)


def _joined(alert: Document, first: str, second: str) -> str:
    return " ".join(filter(None, (_text(alert, first), _text(alert, second))))
