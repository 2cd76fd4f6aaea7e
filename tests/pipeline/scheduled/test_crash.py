"""Killed at any point, the engine neither repeats nor loses an alert."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sockwarden.detect import RuleDetection
from sockwarden.document import get
from sockwarden.pipeline.scheduled import Outgoing, Runner, is_scheduled
from sockwarden.rules import load_packaged
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.store import Store

Accesses = Callable[..., list[dict[str, Any]]]
S = 1_795_000_000_000
MINUTE = 60_000
STARTS = (S, S + 5 * MINUTE, S + 60 * MINUTE)
JUDGES = [RuleDetection(rule) for rule in load_packaged() if not is_scheduled(rule)]


class Dying(sqlite3.Connection):
    """Kills the process at its n-th statement: before that has any effect, or after all of it."""

    left = 1 << 30
    after = False

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        Dying.left -= 1
        if Dying.left == 0 and not Dying.after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(*arguments)
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def work(folder: Path, rule: RuleDetection) -> None:
    """What the service does at STARTS, from where the store says that it was."""
    with Store(folder, create=False) as store:
        outgoing = Outgoing(store, {"file": NdjsonFileSink(folder / "alerts.ndjson")}, lambda _: None)
        outgoing.deliver(0)
        for start in STARTS:
            last = store.runs.last(rule.rule.rule_id)
            if last is None or last.started < start:
                Runner(store, store.source, JUDGES, lambda: start).run(rule)  # noqa: B023 - used up at once
            outgoing.deliver(0)
        outgoing.close()


def killed(folder: Path, rule: RuleDetection, statement: int, *, after: bool) -> bool:
    """Does the work in another process, which dies at a statement; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            connect: Any = partial(sqlite3.connect, factory=Dying)
            sqlite3.connect = connect
            Dying.left, Dying.after = statement, after
            work(folder, rule)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def results(folder: Path) -> tuple[set[str], set[str], list[Any], list[Any]]:
    """Alerts, overflow, runs and gaps."""
    with Store(folder, create=False) as store:
        kept = [
            {get(one, "kibana.alert.uuid") for one in store.newest(10_000, kind=kind)} for kind in ("alert", "overflow")
        ]
        runs = [(one.started, one.windows, one.alerts, one.overflow, one.known) for one in store.runs.newest(100)]
        gaps = [(gap.start, gap.end) for gap in store.runs.gaps()]
        assert store.outbox.count("file") == 0
    return kept[0], kept[1], runs, gaps


def delivered(folder: Path) -> Counter[str]:
    lines: Iterable[bytes] = (folder / "alerts.ndjson").read_bytes().splitlines()
    return Counter(get(json.loads(line), "kibana.alert.uuid") for line in lines)


@pytest.fixture
def begun(tmp_path: Path, accesses: Accesses) -> Path:
    """A store with accesses for several runs: more than one allowance, a pause that leaves a gap."""
    with Store(tmp_path / "begun", create=True) as store:
        store.add_accesses([*accesses(6, S - 2 * MINUTE), *accesses(2, S + MINUTE), *accesses(5, S + 55 * MINUTE)])
    return tmp_path / "begun"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_statement(
    begun: Path, tmp_path: Path, published: Callable[..., RuleDetection], after: bool
) -> None:
    rule = published(max_signals=2)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(begun, undisturbed)
    work(undisturbed, rule)
    expected = results(undisturbed)
    assert len(expected[0]) > 6 and len(expected[1]) > 2 and expected[3]
    assert delivered(undisturbed) == Counter(expected[0])

    statement, deaths, repeats = 1, 0, 0
    while True:
        folder = tmp_path / f"killed-{statement}"
        shutil.copytree(begun, folder)
        died = killed(folder, rule, statement, after=after)
        work(folder, rule)
        assert results(folder) == expected, statement
        given = delivered(folder)
        assert set(given) == expected[0], statement
        repeats += given.total() - len(given)
        assert given.total() - len(given) <= 1, "only the alert that was under way comes twice"
        shutil.rmtree(folder)
        if not died:
            break
        deaths += 1
        statement += 1
    assert deaths > 150
    assert repeats > 0
