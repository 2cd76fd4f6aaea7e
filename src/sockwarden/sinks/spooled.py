"""A sink whose receiver may be away: alerts go into a spool at once, and from there by a thread of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from sockwarden.alerts import SEVERITIES, Severity, is_raised
from sockwarden.document import Document, encode, get
from sockwarden.sinks.escape import escape
from sockwarden.sinks.fold import is_building_block
from sockwarden.sinks.lines import whole
from sockwarden.sinks.quarantine import Quarantine
from sockwarden.sinks.spool import Spool
from sockwarden.sinks.worker import Carrier, Worker

SPOOL_BYTES = 64 << 20


def spool_path(folder: Path, name: str) -> Path:
    """Where the spool of that sink is."""
    return folder / f"spool-{name}.db"


def key_of(alert: Document) -> str:
    """What tells an alert from all others: its uuid, and of one that was raised its severity."""
    uuid = str(get(alert, "kibana.alert.uuid"))
    return f"{uuid} {get(alert, 'kibana.alert.severity')}" if is_raised(alert) else uuid


class SpooledSink:
    """Delivers alerts of a severity and above; each once by its uuid, as long as the spool remembers it.

    folder  where the spool is, and what the receiver refused
    shown   how notes call the sink, where its name does not suffice
    lost    alerts that found no room in the spool, or were refused and found none in the file for that
    """

    notifies: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        folder: Path,
        *,
        min_severity: Severity = "low",
        most_bytes: int = SPOOL_BYTES,
        shown: str = "",
    ) -> None:
        self.carrier = carrier
        self.spool = Spool(spool_path(folder, name), most_bytes)
        self._name = shown or name
        self._severities = SEVERITIES[SEVERITIES.index(min_severity) :]
        self._quarantine = Quarantine(folder / f"refused-{name}.ndjson")
        self._worker = Worker(self._name, self.spool, carrier, self._quarantine)
        self._last: list[str] = []
        self._worker.start()

    @property
    def lost(self) -> int:
        """Alerts that could not be delivered, and never will be."""
        return self.spool.dropped + self._quarantine.lost

    @property
    def refused(self) -> int:
        """Alerts that the receiver did not take, and never will."""
        return self._worker.refused

    def add(self, alerts: Sequence[Document]) -> None:
        """Takes the alerts of one access into the spool; building blocks are not for people."""
        chosen = [alert for alert in alerts if self._is_asked_for(alert) and not is_building_block(alert)]
        if chosen:
            self.spool.add_all([(key_of(one), encode(whole(one))) for one in chosen])
            self._worker.wake()

    def _is_asked_for(self, alert: Document) -> bool:
        """By its own severity, or the level of the story that it goes for."""
        fields = ("kibana.alert.severity", "sockwarden.story.level")
        return any(get(alert, field) in self._severities for field in fields)

    def tick(self, now: float) -> None:
        """Everything is the thread's."""

    def reopen(self) -> None:
        """Nothing is held open that is rotated."""

    def notes(self) -> list[str]:
        """What changed since the last call."""
        notes, self._last = self._last, []
        return [*self._worker.notes(), *self.spool.notes(), *notes]

    def close(self) -> None:
        """Delivers what is left, for two seconds at most; the rest stays in the spool for the next run."""
        self._worker.close()
        waiting = self.spool.waiting
        lost = self.spool.close()
        if waiting - lost:
            self._last.append(f"{self._name}: {waiting - lost:,} alerts wait in the spool for the next run")
        if self.refused:
            lost_of = f", {self._quarantine.lost:,} of them lost" if self._quarantine.lost else ""
            kept = f"kept in {escape(str(self._quarantine.path))}"
            self._last.append(f"{self._name}: {self.refused:,} alerts were refused, {kept}{lost_of}")
        if lost:
            self._last.append(f"{self._name}: {lost:,} alerts could not be written to the spool and are lost")
