"""From the outbox to the sinks: what one does not take waits for it, and keeps nothing from the others."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sockwarden.detect import RuleDetection
from sockwarden.pipeline.scheduled import Outgoing, Runner
from sockwarden.sinks.file import NdjsonFileSink
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.stream import StreamSink
from sockwarden.sinks.worker import Outcome
from sockwarden.store import Store
from sockwarden.store.outbox import FORGOTTEN_MS

Accesses = Callable[..., list[dict[str, Any]]]
Published = Callable[..., RuleDetection]
S = 1_795_000_000_000
MINUTE = 60_000


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def found(store: Store, rule: RuleDetection, documents: list[dict[str, Any]], start: int) -> None:
    store.add_accesses(documents)
    Runner(store, store.source, clock=lambda: start).run(rule)


def test_a_sink_that_is_away_gets_everything_later(
    store: Store, accesses: Accesses, published: Published, tmp_path: Path
) -> None:
    notes: list[str] = []
    away, here = tmp_path / "away", tmp_path / "here"
    (away / "alerts").mkdir(parents=True)
    outgoing = Outgoing(store, {"away": NdjsonFileSink(away / "alerts"), "here": NdjsonFileSink(here)}, notes.append)
    found(store, published(), accesses(3, S - MINUTE), S)
    outgoing.deliver(1e6)
    assert (lines(here), outgoing.waiting()) == (3, 3)
    (away / "alerts").rmdir()
    outgoing.deliver(1e6 + 1)
    assert outgoing.waiting() == 3, "not tried at every turn"
    outgoing.deliver(1e6 + 11)
    outgoing.deliver(1e6 + 22)
    assert (lines(away / "alerts"), lines(here), outgoing.waiting()) == (3, 3, 0)
    assert "cannot be delivered" in notes[0]
    outgoing.close()


def test_a_new_sink_begins_now_and_another_goes_on(
    store: Store, accesses: Accesses, published: Published, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    rule = published()
    Outgoing(store, {"old": NdjsonFileSink(old)}, print).close()
    found(store, rule, accesses(2, S - MINUTE), S)
    both = Outgoing(store, {"old": NdjsonFileSink(old), "new": NdjsonFileSink(new)}, print)
    found(store, rule, accesses(3, S), S + MINUTE)
    both.deliver(0)
    assert (lines(old), lines(new)) == (5, 3)
    both.close()


def test_without_sinks_nothing_waits(store: Store, accesses: Accesses, published: Published, tmp_path: Path) -> None:
    found(store, published(), accesses(2, S - MINUTE), S)
    outgoing = Outgoing(store, {"file": NdjsonFileSink(tmp_path / "file")}, print)
    outgoing.deliver(0)
    assert (tmp_path / "file").read_bytes() == b""
    outgoing.close()


def test_a_sink_that_nobody_has_any_more_is_forgotten(
    store: Store, accesses: Accesses, published: Published, tmp_path: Path
) -> None:
    outbox = store.outbox
    assert outbox.join(["gone"], 0) == []
    found(store, published(), accesses(2, S - MINUTE), S)
    assert outbox.count("gone") == 2
    assert outbox.join(["file"], FORGOTTEN_MS) == []
    assert outbox.count("gone") == 2
    assert outbox.join(["file"], FORGOTTEN_MS + 1) == ["gone"]
    assert (outbox.count("gone"), outbox.count("file")) == (0, 0)


def test_what_retention_removed_is_passed_over(
    store: Store, accesses: Accesses, published: Published, tmp_path: Path
) -> None:
    outgoing = Outgoing(store, {"file": NdjsonFileSink(tmp_path / "file")}, print)
    found(store, published(), accesses(2, S - MINUTE), S)
    store.prune(1, 1 << 30, time.time() + 9 * 86_400)
    outgoing.deliver(0)
    assert ((tmp_path / "file").read_bytes(), outgoing.waiting()) == (b"", 0)
    outgoing.close()


class _Away:
    """A receiver that takes nothing."""

    most_items = most_bytes = 1 << 20

    def pause(self, now: float) -> float:  # noqa: ARG002 - the protocol's
        return 0.0

    def send(self, entries: Sequence[Entry]) -> Outcome:  # noqa: ARG002 - the protocol's
        return Outcome(again="away")

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


def test_an_alert_too_large_for_a_spool_holds_up_no_other(
    store: Store, accesses: Accesses, published: Published, tmp_path: Path
) -> None:
    large, *others = accesses(3, S - MINUTE)
    large["process"] = {**large["process"], "command_line": os.urandom(100_000).hex()}
    sink = SpooledSink("hook", _Away(), tmp_path / "spool", most_bytes=50_000)
    outgoing = Outgoing(store, {"hook": sink}, print)
    found(store, published(), [large, *others], S)
    for seconds in (0, 11, 22):
        outgoing.deliver(1e6 + seconds)
    assert (outgoing.waiting(), sink.spool.waiting, sink.lost > 0) == (0, 2, True)
    outgoing.close()


def test_standard_output_that_nobody_reads(store: Store, accesses: Accesses, published: Published) -> None:
    reader, writer = os.pipe()
    assert stat.S_ISFIFO(os.fstat(writer).st_mode)
    os.close(reader)
    notes: list[str] = []
    with os.fdopen(writer, "wb", buffering=0) as file:
        outgoing = Outgoing(store, {"stdout": StreamSink("ndjson", file)}, notes.append)
        found(store, published(), accesses(2, S - MINUTE), S)
        outgoing.deliver(0)
        assert outgoing.unheard
        assert "takes no more" in notes[0]
        outgoing.close()
    assert store.outbox.count("stdout") == 2
