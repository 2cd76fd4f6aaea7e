"""The service: due rules one at a time, and a rule that fails keeps nothing from the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sockwarden.detect import RuleDetection
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.pipeline.scheduled import Outgoing, Runner, Service, is_scheduled
from sockwarden.rules import Rule, load_packaged
from sockwarden.settings import Config
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.store import Store

Accesses = Callable[..., list[dict[str, Any]]]
Published = Callable[..., RuleDetection]


class Choosy:
    """The store, but it does not answer one rule."""

    name = "store"

    def __init__(self, store: Store, refused: str) -> None:
        self._store = store
        self.refused = refused

    def search(self, rule: Rule, start: int, end: int) -> Iterator[Document]:
        if rule.rule_id == self.refused:
            raise InputError("the query was refused", why="field x is no number")
        yield from self._store.source.search(rule, start, end)

    def warnings(self) -> list[str]:
        return self._store.source.warnings()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alerts.ndjson"


def test_a_rule_that_fails_keeps_nothing_from_the_others(
    store: Store, accesses: Accesses, published: Published, told: list[str], file: Path
) -> None:
    store.add_accesses(accesses(4, time.time_ns() // 1_000_000 - 60_000))
    source = Choosy(store, "broken")
    outgoing = Outgoing(store, {"file": NdjsonFileSink(file)}, told.append)
    service = Service(store, Runner(store, source), outgoing, Config(), told.append)
    health = [RuleDetection(rule) for rule in load_packaged() if not is_scheduled(rule)]
    service.change([published(rule_id="broken", name="Broken"), published(), *health])
    while service.turn():
        pass
    assert (service.runs, service.failed, service.alerts) == (2, 1, 4)
    assert len(file.read_bytes().splitlines()) == 5, "the four, and that a rule failed"
    assert told == ["Broken: the run failed\nthe query was refused\nfield x is no number"]
    assert service.status() == "2 rules, 2 runs, 4 alerts, 1 failed"
    assert not service.turn(), "nothing is due"
    source.refused = ""
    service.once()
    assert (service.runs, service.failed, service.alerts) == (4, 1, 8)
    outgoing.close()


def test_a_reload_takes_rules_away_and_adds_some(
    store: Store, published: Published, told: list[str], file: Path
) -> None:
    outgoing = Outgoing(store, {"file": NdjsonFileSink(file)}, told.append)
    service = Service(store, Runner(store, store.source), outgoing, Config(), told.append)
    service.change([published(rule_id="a"), published(rule_id="b")])
    while service.turn():
        pass
    service.change([published(rule_id="b"), published(rule_id="c"), published(rule_id="d", interval="1s")])
    while service.turn():
        pass
    assert [run.rule_id for run in store.runs.newest(9)] == ["d", "c", "b", "a"]
    time.sleep(1.1)
    service.turn()
    assert [run.rule_id for run in store.runs.newest(9)] == ["d", "d", "c", "b", "a"]
    outgoing.close()


def test_it_is_stopped_between_runs(store: Store, published: Published, told: list[str], file: Path) -> None:
    outgoing = Outgoing(store, {}, told.append)
    service = Service(store, Runner(store, store.source), outgoing, Config(), told.append)
    service.change([published(rule_id=name) for name in "abc"])
    service.once(lambda: service.runs == 2)
    assert service.runs == 2
    outgoing.close()
