"""One run of a rule over a source: which documents become alerts, which are one too many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sockwarden.alerts import RuleExecution, build, uuid_of
from sockwarden.detect.detectors import RuleDetection
from sockwarden.detect.scheduled.groups import RunGroups, StagedGroups
from sockwarden.detect.scheduled.summary import MOST_NAMED, Busiest, summary_of, warning_of
from sockwarden.detect.scheduled.windows import Window
from sockwarden.detect.source import Source
from sockwarden.document import Document, get
from sockwarden.rules.moments import time_of

MOST_WARNINGS = 20


class Staged(StagedGroups, Protocol):
    """Where a run puts what it finds; nothing of it lasts before the run is committed."""

    def known(self, uuid: str) -> bool:
        """Whether there is an alert with this uuid already, of an earlier run, of this one, or of a watch, or one that
        took it in.
        """
        ...

    def add(self, alert: Document, *, overflow: bool = False) -> None:
        """Takes an alert, or a document that is one too many for an alert."""
        ...

    def overflow(self) -> int:
        """How many of those there are; what became an alert in a later window is none of them any more."""
        ...

    def busiest(self, field: str, most: int) -> Busiest:
        """Their most frequent `executable` or `socket`."""
        ...


class Looked(msgspec.Struct):
    """What one window held, in documents.

    candidates  given by the source; excepted, known, suppressed, alerts, overflow: what became of them
    """

    window: Window
    candidates: int = 0
    excepted: int = 0
    known: int = 0
    suppressed: int = 0
    alerts: int = 0
    overflow: int = 0


class Found(msgspec.Struct):
    """What a run found. overflow: at its end; a document that a later window took in is no longer among them."""

    looked: list[Looked]
    overflow: int
    warnings: list[str]

    def total(self, count: str) -> int:
        """The sum of a count over the windows; a document in two of them counts twice."""
        return sum(getattr(one, count) for one in self.looked)


class Execution:
    """Runs one rule. Raises InputError as the source does; then nothing that was staged is to be used.

    execution: what alerts say of the run; None: they carry the time of their document
    """

    def __init__(
        self,
        detection: RuleDetection,
        source: Source,
        staged: Staged,
        now_ms: int,
        execution: RuleExecution | None = None,
    ) -> None:
        self._execution = execution
        self._detection = detection
        self._rule = detection.rule
        self._source = source
        self._staged = staged
        self._now_ms = now_ms
        self._groups = RunGroups(detection.detector, staged)

    def run(self, windows: Sequence[Window]) -> Found:
        """Looks at the windows in their order, each with its own max_signals, and sums up what was too much."""
        self._source.warnings()  # of a search before, which may have failed
        warnings: dict[str, None] = {}
        looked = []
        for window in windows:
            looked.append(self._look(window))
            warnings.update(dict.fromkeys(self._source.warnings()))
        overflow = self._staged.overflow()
        if overflow:
            warnings[warning_of(self._rule, overflow)] = None
            self._sum_up(Window(windows[0].start, windows[-1].end), overflow)
        told = list(warnings)
        if len(told) > MOST_WARNINGS:
            told = [*told[: MOST_WARNINGS - 1], f"and {len(told) - MOST_WARNINGS + 1} further warnings"]
        return Found(looked, overflow, told)

    def _look(self, window: Window) -> Looked:
        looked = Looked(window)
        for document in self._source.search(self._rule, window.start, window.end):
            looked.candidates += 1
            uuid = uuid_of(document, self._rule.rule_id)
            if self._rule.excepted(document, self._now_ms):
                looked.excepted += 1
            elif self._staged.known(uuid):
                looked.known += 1
            else:
                self._take(document, uuid, looked)
        return looked

    def _take(self, document: Document, uuid: str, looked: Looked) -> None:
        belonging = self._groups.of(document)
        moment = time_of(document, self._rule)
        moment = self._now_ms if moment is None else moment
        if belonging and self._groups.takes_in(belonging, uuid, moment):
            looked.suppressed += 1
            return
        overflow = looked.alerts >= self._rule.max_signals
        alert = self._detection.alert(document, self._execution)
        if belonging and not overflow:
            alert = self._groups.opened(alert, belonging, uuid, moment)
        self._staged.add(_beyond(alert) if overflow else alert, overflow=overflow)
        if overflow:
            looked.overflow += 1
        else:
            looked.alerts += 1

    def _sum_up(self, window: Window, overflow: int) -> None:
        busiest = (self._staged.busiest(kind, MOST_NAMED) for kind in ("executable", "socket"))
        document = summary_of(self._rule, window, overflow, *busiest)
        detector = msgspec.structs.replace(
            self._detection.detector, name=f"Alerts beyond max_signals: {self._rule.name}"
        )
        self._staged.add(build(document, detector, view=None, execution=self._execution))


def _beyond(alert: Document) -> Document:
    """The alert marked as overflow; `sockwarden` is shared with the document, so not changed in place."""
    own = get(alert, "sockwarden") or {}
    marked = {**own, "alert": {**(own.get("alert") or {}), "overflow": True}}
    return {**alert, "sockwarden": marked}
