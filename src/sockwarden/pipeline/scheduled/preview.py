"""What a rule would have found, run by run; and stretches of time run for real, afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sockwarden.detect import RuleDetection, Source
from sockwarden.detect.scheduled import Execution, Looked, Window, pieces, without
from sockwarden.pipeline.scheduled.runner import Runner
from sockwarden.rules.moments import span_ms, window
from sockwarden.store import Gap, Run, Store


class Preview(msgspec.Struct):
    """What one run would have made. started: when it would have begun, in ms."""

    started: int
    looked: Looked
    warnings: list[str]


def starts(interval: int, stretch: Window) -> range:
    """When the runs of a stretch would have begun, the oldest first; the last one at its end. All in ms."""
    count = -(-max(stretch.end - stretch.start, 1) // interval)
    return range(stretch.end - (count - 1) * interval, stretch.end + 1, interval)


def preview(detection: RuleDetection, source: Source, store: Store, stretch: Window) -> Iterator[Preview]:
    """The runs that would have begun in a stretch. Nothing of them is kept; a document that an earlier one of them, or
    the store, has an alert of is known to the later ones.
    """
    staged = store.runs.staging()
    for started in starts(span_ms(detection.rule.interval), stretch):
        found = Execution(detection, source, staged, started).run([Window(*window(detection.rule, started))])
        yield Preview(started, found.looked[0], found.warnings)


def fill(detection: RuleDetection, runner: Runner, store: Store, stretch: Window) -> Iterator[Run]:
    """Runs over a stretch, window by window, each committed with its alerts; what it covers of gaps is filled."""
    for piece in pieces(stretch, span_ms(detection.rule.interval)):
        gaps = [gap for gap in store.runs.gaps(detection.rule.rule_id) if _meet(gap, piece)]
        yield runner.fill(detection, piece, [(gap, without(Window(gap.start, gap.end), piece)) for gap in gaps])


def _meet(gap: Gap, piece: Window) -> bool:
    return gap.start < piece.end and piece.start < gap.end
