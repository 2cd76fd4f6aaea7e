"""One run of one rule: planned by the last, executed, and committed with its record, or recorded as failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from sockwarden.alerts import RuleExecution, iso
from sockwarden.detect import Detection, RuleDetection, Source
from sockwarden.detect.scheduled import Execution, Found, Plan, Window, plan
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.health import Trouble, document_of
from sockwarden.pipeline.live import local_host
from sockwarden.rules import Rule
from sockwarden.rules.moments import span_ms, window
from sockwarden.store import Gap, Run, Staging, Store

HEALTH_INDEX = "logs-sockwarden.health-*"
_MOST_ERROR = 2000
_MOST_GAPS_TOLD = 3
_REPORT = "Please report it, with the version of sockwarden and what the rule's query is."


def is_scheduled(rule: Rule) -> bool:
    """Whether a source can hold what the rule is about: health documents are judged when they are made."""
    return rule.index != (HEALTH_INDEX,)


def now_ms() -> int:
    """The time of day, in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Runner:
    """Runs rules over one source into one store.

    judges: what judges health documents: a run that failed, a gap
    """

    def __init__(
        self, store: Store, source: Source, judges: Sequence[Detection] = (), clock: Callable[[], int] = now_ms
    ) -> None:
        self.judges = judges
        self._store = store
        self.source = source
        self._clock = clock

    def run(self, detection: RuleDetection) -> Run:
        """The rule's run that is due now, committed. One that failed has found nothing, and its record says why.

        Raises InputError when the store takes not even that.
        """
        started, begun = self._clock(), time.monotonic()
        rule = detection.rule
        last = self._store.runs.last(rule.rule_id)
        own = Window(*window(rule, started))
        planned = plan(own, span_ms(rule.interval), last.windows[-1][1] if last else None)
        try:
            staged = self._store.runs.staging()
            execution = RuleExecution(str(uuid4()), iso(started))
            found = Execution(detection, self.source, staged, started, execution).run(planned.windows)
            found.warnings += _warnings(planned, last, started)
            if planned.gaps:
                self._tell(staged, Trouble("rule-gap-recorded", _gap_message(rule, planned), rule.rule_id))
            run = self._record(rule, started, begun, found)
            self._store.runs.commit(run, staged, gaps=planned.gaps, after=last.number if last else 0)
        except InputError as error:
            return self._failed(rule, started, begun, planned.windows, error)
        except Exception as error:  # noqa: BLE001 - a document that is a fault of ours must not end the other rules
            told = InputError(f"a fault of sockwarden's: {type(error).__name__}: {str(error)[:200]}", todo=_REPORT)
            return self._failed(rule, started, begun, planned.windows, told)
        return run

    def fill(self, detection: RuleDetection, stretch: Window, gaps: Iterable[tuple[Gap, tuple[Window, ...]]]) -> Run:
        """A run over one window that a person asked for, committed; gaps: those it fills, with what is left of each."""
        started, begun = self._clock(), time.monotonic()
        staged = self._store.runs.staging()
        execution = RuleExecution(str(uuid4()), iso(started), "manual", iso(stretch.end))
        found = Execution(detection, self.source, staged, started, execution).run([stretch])
        run = self._record(detection.rule, started, begun, found, kind="manual")
        self._store.runs.commit(run, staged, filled=gaps)
        return run

    def _record(
        self,
        rule: Rule,
        started: int,
        begun: float,
        found: Found,
        *,
        kind: Literal["scheduled", "manual"] = "scheduled",
    ) -> Run:
        return Run(
            rule_id=rule.rule_id,
            rule_name=rule.name,
            source=self.source.name,
            type=kind,
            started=started,
            finished=self._clock(),
            windows=tuple(one.window for one in found.looked),
            status="partial" if found.warnings else "succeeded",
            candidates=found.total("candidates"),
            excepted=found.total("excepted"),
            known=found.total("known"),
            alerts=found.total("alerts"),
            suppressed=found.total("suppressed"),
            overflow=found.overflow,
            warnings=tuple(found.warnings),
            took_ms=_took(begun),
        )

    def _failed(self, rule: Rule, started: int, begun: float, windows: tuple[Window, ...], error: InputError) -> Run:
        """The record of a run that found nothing. An alert tells it once, not each time it fails in the same way."""
        run = Run(
            rule_id=rule.rule_id,
            rule_name=rule.name,
            source=self.source.name,
            started=started,
            finished=self._clock(),
            windows=windows,
            status="failed",
            error=str(error)[:_MOST_ERROR],
            took_ms=_took(begun),
        )
        before = self._store.runs.newest(1, rule.rule_id)
        staged = self._store.runs.staging()
        if not before or before[0].status != "failed" or before[0].error != run.error:
            message = f"The rule {rule.name} failed over {self.source.name}: {error.what}"
            self._tell(staged, Trouble("rule-run-failed", message, rule.rule_id))
        self._store.runs.commit(run, staged)
        return run

    def _tell(self, staged: Staging, trouble: Trouble) -> None:
        document: Document = document_of(trouble, self._clock() / 1000)
        document["host"] |= local_host()
        for judge in self.judges:
            for alert in judge.judge(document):
                if not staged.known(get(alert, "kibana.alert.uuid")):
                    staged.add(alert)


def _warnings(planned: Plan, last: Run | None, started: int) -> list[str]:
    warnings = [
        f"nobody looked at {moment(gap.start)} to {moment(gap.end)}; the gap is recorded"
        for gap in planned.gaps[:_MOST_GAPS_TOLD]
    ]
    if last and started < last.started:
        span = _span(last.started - started)
        warnings.insert(
            0, f"the clock was set back by {span} since the last run, which had looked at that time already"
        )
    return warnings


def _gap_message(rule: Rule, planned: Plan) -> str:
    first, last = planned.gaps[0].start, planned.gaps[-1].end
    total = sum(gap.end - gap.start for gap in planned.gaps)
    return f"The rule {rule.name} has not looked at {_span(total)} between {moment(first)} and {moment(last)}"


def moment(milliseconds: int) -> str:
    """A time for a person."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"


def _span(milliseconds: int) -> str:
    seconds = -(-milliseconds // 1000)
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _took(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
