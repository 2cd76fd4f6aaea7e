"""Alerts as a person reads them: what one access caused together, and repeats of a process as one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from sockwarden.document import Document, get

SECONDS = 60.0
"""How long after its first alert a group takes in repeats, in event time."""
MOST_OPEN = 256
"""Groups kept open at once."""

_SAME = (
    "host.name",
    "process.pid",
    "process.executable",
    "process.title",
    "process.parent.pid",
    "auditd.session",
    "container.id",
    "destination.address",
    "event.action",
    "event.outcome",
    "error.code",
    "user.id",
    "message",
    "sockwarden.health.detail",
)


class Group(msgspec.Struct):
    """Alerts of one process on one socket.

    alerts  of the first access, one a detector
    count   accesses
    folded  those of them that a sensor counted only, since too many came
    first, last  their times in seconds since the epoch, None where a document has none
    """

    alerts: list[Document]
    count: int = 1
    first: float | None = None
    last: float | None = None
    folded: int = 0

    def take(self, alerts: Sequence[Document], time: float | None) -> None:
        """Takes the alerts of a repeat in. time: in seconds since the epoch, where the document has one."""
        folded = folded_of(alerts[0])
        self.count += folded or 1
        self.folded += folded
        self.last = time


def begun(alerts: Sequence[Document], time: float | None) -> Group:
    """A group with the alerts of one access, or of many that a sensor counted only."""
    folded = folded_of(alerts[0])
    return Group(list(alerts), folded or 1, time, time, folded)


class Folder:
    """Folds alerts into groups; those of one access must come one after another."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Group] = OrderedDict()
        self._access: list[Document] = []

    def add(self, alert: Document) -> Iterator[Group]:
        """Takes an alert; gives the groups that are over, in the order they began."""
        if self._access and _access_of(alert) != _access_of(self._access[0]):
            yield from self._take()
        self._access.append(alert)

    def flush(self) -> Iterator[Group]:
        """What is still open."""
        if self._access:
            yield from self._take()
        while self._open:
            yield self._open.popitem(last=False)[1]

    def _take(self) -> Iterator[Group]:
        alerts, self._access = self._access, []
        time = time_of(alerts[0])
        while self._open and self._over(time):
            yield self._open.popitem(last=False)[1]
        key = key_of(alerts)
        if group := self._open.get(key):
            group.take(alerts, time)
        else:
            self._open[key] = begun(alerts, time)

    def _over(self, now: float | None) -> bool:
        oldest = next(iter(self._open.values())).first
        return len(self._open) >= MOST_OPEN or now is None or oldest is None or now - oldest > SECONDS


def key_of(alerts: Sequence[Document]) -> str:
    """What the alerts of one access share with those of its repeats."""
    return repr([[get(alerts[0], field) for field in _SAME], [get(a, "kibana.alert.rule.rule_id") for a in alerts]])


def _access_of(alert: Document) -> object:
    """What tells one access from the next: the document that the alert was made of."""
    ancestors = get(alert, "kibana.alert.ancestors")
    return ancestors[-1].get("id"), ancestors[-1].get("index")


def is_building_block(alert: Document) -> bool:
    """Whether an alert is only for other rules to look at: sinks for people leave it out, as Kibana's list does."""
    return get(alert, "kibana.alert.building_block_type") is not None


def more_like_it(alert: Document) -> str:
    """What a suppressing alert took in beside its first match, for a person; empty where that is nothing."""
    count = get(alert, "kibana.alert.suppression.docs_count")
    return f"and {count:,} more like it" if isinstance(count, int) and count > 0 else ""


def folded_of(document: Document) -> int:
    """Accesses for which a document stands, as a sensor counted them in a flood; 0 for one that stands for itself."""
    count = get(document, "sockwarden.loss.folded")
    return count if isinstance(count, int) and count > 0 else 0


def counted_only(document: Document) -> str:
    """That a document stands for so many accesses; empty for one that stands for itself."""
    count = folded_of(document)
    return f"{count:,} accesses, counted only" if count else ""


def time_of(alert: Document) -> float | None:
    """The event's time in seconds since the epoch; one without a zone is UTC, as to Elasticsearch."""
    try:
        moment = datetime.fromisoformat(str(get(alert, "kibana.alert.original_time") or get(alert, "@timestamp")))
        # Into UTC first: a time whose zone puts it outside the years 1 to 9999 has seconds, but no date to show.
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
