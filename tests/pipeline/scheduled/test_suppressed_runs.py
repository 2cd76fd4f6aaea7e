"""Suppression over runs: what one alert takes in, in this run and in later ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sockwarden.detect import RuleDetection
from sockwarden.detect.scheduled import Execution, Window
from sockwarden.document import get
from sockwarden.pipeline.scheduled import Runner
from sockwarden.rules.rule import Suppression
from sockwarden.store import Store

Accesses = Callable[..., list[dict[str, Any]]]
Published = Callable[..., RuleDetection]
MINUTE = 60_000
S = 1_795_000_000_000
LONG = Suppression(("user.id",), duration_ms=60 * MINUTE)
ONE_RUN = Suppression(("user.id",))


class Clock:
    def __init__(self) -> None:
        self.now = S

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of(name: str | None) -> dict[str, Any]:
    return {"user": {"id": name} if name else {}}


def told(store: Store) -> Iterator[tuple[Any, int]]:
    """Of each alert the group's value and how many matches it took in, the newest first."""
    for alert in store.newest(100):
        (term,) = get(alert, "kibana.alert.suppression.terms")
        yield term["value"], get(alert, "kibana.alert.suppression.docs_count")


def test_one_alert_a_group_and_run(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    detection = published(suppression=ONE_RUN)
    store.add_accesses(accesses(5, S - 4 * MINUTE, **of("a")) + accesses(1, S - MINUTE, **of("b")))
    run = Runner(store, store.source, clock=clock).run(detection)
    assert (run.candidates, run.alerts, run.suppressed, run.overflow) == (6, 2, 4, 0)
    assert sorted(told(store)) == [("a", 4), ("b", 0)]
    # The next run's window has most of them again: they stay what they are. What is new opens a group of that run.
    clock.now += 3 * MINUTE
    store.add_accesses(accesses(2, S + MINUTE, **of("a")))
    run = Runner(store, store.source, clock=clock).run(detection)
    assert (run.known, run.alerts, run.suppressed) == (6, 1, 1)
    assert sorted(told(store)) == [("a", 1), ("a", 4), ("b", 0)]


def test_a_window_outlasts_runs_and_restarts(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    detection = published(suppression=LONG)
    for _ in range(3):
        store.add_accesses(accesses(4, clock.now - MINUTE, **of("a")))
        Runner(store, store.source, clock=clock).run(detection)
        clock.now += 5 * MINUTE
    (alert,) = store.newest(10)
    signal = get(alert, "kibana.alert.suppression")
    assert signal["docs_count"] == 11
    assert signal["start"] == get(alert, "kibana.alert.original_time") < signal["end"]
    clock.now = S + 70 * MINUTE
    store.add_accesses(accesses(1, clock.now - MINUTE, **of("a")))
    assert Runner(store, store.source, clock=clock).run(detection).alerts == 1


def test_groups_come_before_the_cut(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    for name in "abcd":
        store.add_accesses(accesses(10, S - 5 * MINUTE, **of(name)))
    run = Runner(store, store.source, clock=clock).run(published(suppression=ONE_RUN, max_signals=4))
    assert (run.alerts, run.suppressed, run.overflow) == (4, 36, 0)


def test_a_document_without_the_field(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    store.add_accesses(accesses(3, S - 5 * MINUTE, **of(None)))
    apart = Suppression(("user.id",), missing_fields_strategy="doNotSuppress")
    assert Runner(store, store.source, clock=clock).run(published(suppression=apart)).alerts == 3
    assert Runner(store, store.source, clock=clock).run(published(suppression=apart)).known == 3


def test_a_run_that_is_not_committed_leaves_no_group(
    store: Store, accesses: Accesses, published: Published, clock: Clock
) -> None:
    store.add_accesses(accesses(3, S - 5 * MINUTE, **of("a")))
    staged = store.runs.staging()
    detection = published(suppression=LONG)
    Execution(detection, store.source, staged, S).run([Window(S - 9 * MINUTE, S)])
    run = Runner(store, store.source, clock=clock).run(detection)
    assert (run.alerts, run.suppressed, run.known) == (1, 2, 0)
    assert list(told(store)) == [("a", 2)]


def test_a_closed_alert_takes_nothing_in(store: Store, accesses: Accesses, published: Published, clock: Clock) -> None:
    detection = published(suppression=LONG)
    for _ in range(2):
        store.add_accesses(accesses(2, clock.now - MINUTE, **of("a")))
        Runner(store, store.source, clock=clock).run(detection)
        store.answer([get(alert, "kibana.alert.uuid") for alert in store.newest(5)], "closed", user="x", at="y")
        clock.now += 5 * MINUTE
    assert list(told(store)) == [("a", 1), ("a", 1)]
