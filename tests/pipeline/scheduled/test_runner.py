"""Runs of a rule over a real store of recorded accesses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockwarden.detect import RuleDetection
from sockwarden.detect.scheduled import Window
from sockwarden.document import Document, get
from sockwarden.errors import InputError
from sockwarden.pipeline.scheduled import Runner, fill, is_scheduled, preview
from sockwarden.rules import Rule, load_packaged
from sockwarden.rules.moments import time_of
from sockwarden.store import Store

Accesses = Callable[..., list[dict[str, Any]]]
Published = Callable[..., RuleDetection]
S = 1_795_000_000_000
MINUTE = 60_000
JUDGES = [RuleDetection(rule) for rule in load_packaged() if not is_scheduled(rule)]


class Clock:
    """The time of day, as a test sets it."""

    def __init__(self) -> None:
        self.now = S

    def __call__(self) -> int:
        return self.now


class Listed:
    """A source over a list; fails after so many documents where that is said."""

    name = "list"

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        self.documents = documents
        self.fails_after: int | None = None
        self.incomplete: list[str] = []

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        def time(document: Document) -> int:
            return time_of(document, rule) or 0

        fitting = [one for one in self.documents if start <= time(one) <= end and rule.matches(one)]
        for number, document in enumerate(sorted(fitting, key=lambda one: (time(one), one["_id"]))):
            if number == self.fails_after:
                raise InputError("the cluster is away", where="list", why="connection refused")
            yield document

    def warnings(self) -> list[str]:
        return self.incomplete


@pytest.fixture
def clock() -> Clock:
    return Clock()


def uuids(store: Store, **choice: Any) -> list[str]:
    return [get(alert, "kibana.alert.uuid") for alert in store.newest(10_000, **choice)]


def summaries(store: Store) -> list[Document]:
    return [one for one in store.newest(10_000) if get(one, "event.action") == "max-signals-exceeded"]


def test_250_hits_in_one_window(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    store.add_accesses(accesses(250, S - 8 * MINUTE))
    run = Runner(store, store.source, clock=clock).run(published())
    assert (run.status, run.candidates, run.alerts, run.overflow) == ("partial", 250, 100, 150)
    assert ["150" in text and "max_signals (100)" in text for text in run.warnings] == [True]
    (summary,) = summaries(store)
    assert get(summary, "kibana.alert.rule.name") == f"Alerts beyond max_signals: {run.rule_name}"
    assert get(summary, "sockwarden.overflow.count") == 150
    for kind in ("executables", "sockets"):
        assert sum(one["count"] for one in get(summary, f"sockwarden.overflow.{kind}")) == 150
    assert "150 more matches" in get(summary, "kibana.alert.reason")
    kept = list(store.newest(10_000, kind="overflow"))
    assert len(kept) == 150
    assert all(get(one, "sockwarden.alert.overflow") is True for one in kept)
    alerts = [one for one in store.newest(10_000, rule=run.rule_id) if one not in summaries(store)]
    of_alerts, of_kept = ([get(one, "kibana.alert.original_time") for one in some] for some in (alerts, kept))
    assert max(of_alerts) < min(of_kept), "the oldest become alerts"
    assert store.find(get(kept[0], "kibana.alert.uuid")) == kept[0]


def test_overflow_becomes_alerts_in_the_next_window(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    store.add_accesses(accesses(25, S - 2 * MINUTE))
    runner, rule = Runner(store, store.source, clock=clock), published(max_signals=10)
    first = runner.run(rule)
    clock.now += 5 * MINUTE
    second = runner.run(rule)
    clock.now += MINUTE
    third = runner.run(rule)
    assert [(run.known, run.alerts, run.overflow) for run in (first, second, third)] == [
        (0, 10, 15),
        (10, 10, 5),
        (20, 5, 0),
    ]
    assert len(set(uuids(store, rule=first.rule_id))) == 25 + 2
    assert not list(store.newest(99, kind="overflow"))


def test_late_documents_within_the_look_back_and_no_repeats(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    runner, rule = Runner(store, store.source, clock=clock), published()
    store.add_accesses(accesses(5, S - 3 * MINUTE))
    assert runner.run(rule).alerts == 5
    clock.now += 5 * MINUTE
    store.add_accesses(accesses(3, S - 2 * MINUTE))
    late = runner.run(rule)
    assert (late.known, late.alerts) == (5, 3)
    clock.now += 5 * MINUTE
    again = runner.run(rule)
    assert (again.candidates, again.alerts) == (0, 0)
    assert len(set(uuids(store))) == 8


def test_a_pause_is_caught_up_and_the_rest_is_a_gap(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    runner, rule = Runner(store, store.source, JUDGES, clock), published()
    runner.run(rule)
    store.add_accesses(accesses(60, S, MINUTE))
    clock.now += 60 * MINUTE
    run = runner.run(rule)
    assert len(run.windows) == 5
    assert [Window(gap.start, gap.end) for gap in store.runs.gaps()] == [Window(S, S + 31 * MINUTE)]
    assert run.alerts == 29
    assert any("nobody looked at" in text for text in run.warnings)
    (told,) = store.newest(9, rule="Detection Rule Did Not Run")
    assert rule.rule.name in get(told, "message")
    assert "31 min" in get(told, "kibana.alert.reason")

    filled = list(fill(rule, runner, store, Window(S, S + 31 * MINUTE)))
    assert {one.type for one in filled} == {"manual"}
    assert [one.alerts for one in filled] == [6, 5, 5, 5, 5, 5, 0]
    assert store.runs.gaps() == []
    assert len(store.runs.gaps(filled=True)) == 7
    last = store.runs.last(run.rule_id)
    assert last and last.number == 2, "what a person ran is no start to count from"
    assert len(set(uuids(store, rule=run.rule_id))) == 60


def test_each_window_that_catches_up_has_its_own_allowance(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    runner, rule = Runner(store, store.source, clock=clock), published(max_signals=5)
    runner.run(rule)
    store.add_accesses(accesses(29, S + MINUTE, MINUTE))
    clock.now += 29 * MINUTE
    run = runner.run(rule)
    assert run.windows[-1] == (S + 20 * MINUTE, S + 29 * MINUTE)
    assert (run.alerts, run.overflow) == (25, 4)
    assert len(summaries(store)) == 1
    assert len(list(store.newest(99, kind="overflow"))) == 4


def test_a_clock_that_is_set_back(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    runner, rule = Runner(store, store.source, clock=clock), published()
    store.add_accesses(accesses(3, S - 62 * MINUTE))
    runner.run(rule)
    clock.now -= 60 * MINUTE
    run = runner.run(rule)
    assert (len(run.windows), run.alerts, store.runs.gaps()) == (1, 3, [])
    assert any("set back by 60 min" in text for text in run.warnings)
    clock.now += 5 * MINUTE
    assert runner.run(rule).warnings == ()


def test_a_source_that_fails_midway(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    source = Listed(accesses(20, S - MINUTE))
    runner, rule = Runner(store, source, JUDGES, clock), published()
    source.fails_after = 7
    failed = runner.run(rule)
    assert (failed.status, failed.alerts, uuids(store, rule=failed.rule_id)) == ("failed", 0, [])
    assert "connection refused" in failed.error
    clock.now += 5 * MINUTE
    assert runner.run(rule).status == "failed"
    assert store.count(rule="Detection Rule Did Not Run") == 1, "the same failure is told once"
    source.fails_after, source.incomplete = None, ["2 of 5 shards failed"]
    clock.now += 3 * MINUTE
    run = runner.run(rule)
    assert (run.status, run.alerts, run.warnings) == ("partial", 20, ("2 of 5 shards failed",))
    assert len(uuids(store, rule=run.rule_id)) == 20


def test_after_failed_runs_the_next_catches_up(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    source = Listed(accesses(30, S, MINUTE))
    runner, rule = Runner(store, source, clock=clock), published()
    runner.run(rule)
    source.fails_after = 0
    for _ in range(4):
        clock.now += 5 * MINUTE
        runner.run(rule)
    source.fails_after = None
    clock.now += 5 * MINUTE
    run = runner.run(rule)
    assert (run.status, len(run.windows), store.runs.gaps()) == ("succeeded", 5, [])
    assert len(uuids(store)) == sum(1 for one in source.documents if (time_of(one, rule.rule) or 0) <= clock.now)


def test_two_processes_do_not_run_a_rule_at_once(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    rule = published()
    source = Listed(accesses(3, S - MINUTE))

    class Overtaken(Listed):
        def search(self, rule_: Rule, start: int, end: int) -> Iterator[Document]:
            with Store(store.path.parent, create=False) as other:
                Runner(other, source, clock=clock).run(rule)
            yield from super().search(rule_, start, end)

    run = Runner(store, Overtaken(source.documents), clock=clock).run(rule)
    assert (run.status, run.alerts) == ("failed", 0)
    assert "meanwhile by another process" in run.error
    assert len(uuids(store)) == 3


def test_a_preview_keeps_nothing(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    store.add_accesses(accesses(25, S - 20 * MINUTE, MINUTE))
    rule = published(max_signals=4)
    runs = list(preview(rule, store.source, store, Window(S - 20 * MINUTE, S)))
    assert [one.started for one in runs] == [S - back * 5 * MINUTE for back in (3, 2, 1, 0)]
    assert [(one.looked.candidates, one.looked.known, one.looked.alerts, one.looked.overflow) for one in runs] == [
        (6, 0, 4, 2),
        (10, 3, 4, 3),
        (10, 2, 4, 4),
        (10, 1, 4, 5),
    ]
    assert (uuids(store), store.runs.count()) == ([], 0)
