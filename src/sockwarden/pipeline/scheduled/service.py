"""The scheduled engine as a service: each rule when it is due, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sockwarden.detect import Detection, RuleDetection
from sockwarden.detect.scheduled import Timetable
from sockwarden.pipeline.scheduled.outgoing import Outgoing
from sockwarden.pipeline.scheduled.runner import Runner, is_scheduled, now_ms
from sockwarden.rules.moments import span_ms
from sockwarden.settings import Config
from sockwarden.store import Run, Store

PRUNE_SECONDS = 120.0


class Service:
    """Runs rules at their intervals. A rule that fails keeps nothing from the others.

    runs, failed, alerts  since the start
    """

    def __init__(
        self, store: Store, runner: Runner, outgoing: Outgoing, config: Config, tell: Callable[[str], None]
    ) -> None:
        self.runs = self.failed = self.alerts = 0
        self.outgoing = outgoing
        self.config = config
        self._store = store
        self._runner = runner
        self._tell = tell
        self._rules: dict[str, RuleDetection] = {}
        self._timetable = Timetable()
        self._prune_at = float("-inf")
        self._told: dict[str, str] = {}

    def change(self, detections: Sequence[Detection]) -> None:
        """Makes these the rules; signatures do not run at intervals. A rule that ran before, here or in an earlier
        process, keeps its phase. A rule that its file disables does not run.
        """
        detections = [one for one in detections if not isinstance(one, RuleDetection) or one.rule.enabled]
        self._runner.judges = [
            one for one in detections if isinstance(one, RuleDetection) and not is_scheduled(one.rule)
        ]
        rules = [one for one in detections if isinstance(one, RuleDetection) and is_scheduled(one.rule)]
        self._rules = {one.rule.rule_id: one for one in rules}
        intervals = {one.rule.rule_id: span_ms(one.rule.interval) / 1000 for one in rules}
        now = _clock()
        self._timetable.set(intervals, {rule: now + self._wait(rule, interval) for rule, interval in intervals.items()})

    def turn(self) -> bool:
        """Runs the rule that is due, if one is, and delivers; whether there is more to do at once.

        Raises InputError when the store cannot be used: without it nothing can be done.
        """
        rule = self._timetable.due(_clock())
        if rule is not None:
            self._run(self._rules[rule])
            self._timetable.ran(rule, _clock())
        self._prune()
        more = self.outgoing.deliver(time.monotonic())
        return more or self._timetable.due(_clock()) is not None

    def once(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Runs every rule, whether it is due or not, and delivers what there is. stopped: asked between runs."""
        for detection in self._rules.values():
            if not stopped():
                self._run(detection)
        while not stopped() and self.outgoing.deliver(time.monotonic()):
            pass

    def status(self) -> str:
        """How it is, in one line."""
        parts = [f"{len(self._rules)} rules", f"{self.runs:,} runs", f"{self.alerts:,} alerts"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if waiting := self.outgoing.waiting():
            parts.append(f"{waiting:,} to be delivered")
        return ", ".join(parts)

    def _run(self, detection: RuleDetection) -> None:
        run = self._runner.run(detection)
        self.runs += 1
        self.alerts += run.alerts
        self.failed += run.status == "failed"
        self._say(run)

    def _say(self, run: Run) -> None:
        """What went wrong in a run, when it is another thing than last time."""
        text = "\n".join([run.error] if run.error else run.warnings)
        if text and self._told.get(run.rule_id) != text:
            self._tell(f"{run.rule_name}: {'the run failed' if run.error else 'the run has warnings'}\n{text}")
        self._told[run.rule_id] = text

    def _wait(self, rule: str, interval: float) -> float:
        """Seconds until a rule is due that last ran in an earlier process."""
        last = self._store.runs.last(rule)
        since = (now_ms() - last.started) / 1000 if last else interval
        return max(interval - since, 0) if since >= 0 else 0

    def _prune(self) -> None:
        now = time.monotonic()
        if now < self._prune_at:
            return
        retention = self.config.retention
        done = self._store.prune(retention.days, retention.max_bytes, time.time(), goes_on=lambda: False)
        self._store.runs.prune(retention.days, now_ms())
        self._prune_at = now if done.unfinished else now + PRUNE_SECONDS


def _clock() -> float:
    """Seconds of a clock that goes on while the machine sleeps and is never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
