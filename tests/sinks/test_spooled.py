"""Delivery from the spool: whatever the receiver does, the run is not held, nothing is lost, and both ends of an outage
are told once.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sockwarden.sinks.quarantine import Quarantine
from sockwarden.sinks.spool import Entry
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.spoolfile import totals_of
from sockwarden.sinks.webhook import Webhook
from sockwarden.sinks.worker import Outcome, Refusal

Make = Callable[..., dict[str, Any]]
Until = Callable[..., None]


def url(hook: Any) -> str:
    return f"http://127.0.0.1:{hook.port}/secret"


def pids(hook: Any) -> list[int]:
    return [body["process"]["pid"] for body in hook.bodies]


def test_in_order_and_each_once(hook: Any, tmp_path: Path, alert: Make, until: Until) -> None:
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path)
    for pid in range(50):
        sink.add([alert(pid), alert(pid, rule="Another")])
        sink.add([alert(pid)])
    until(lambda: len(hook.requests) >= 100)
    sink.close()
    assert pids(hook) == [pid for pid in range(50) for _ in range(2)]
    assert (sink.notes(), sink.lost, sink.spool.duplicates) == ([], 0, 50)


def test_from_a_severity_up(hook: Any, tmp_path: Path, alert: Make, until: Until) -> None:
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path, min_severity="high")
    for pid, severity in enumerate(("low", "medium", "high", "critical")):
        sink.add([alert(pid, severity=severity)])
    until(lambda: len(hook.requests) >= 2)
    sink.close()
    assert pids(hook) == [2, 3]


def test_one_that_was_raised_goes_again_and_a_story_counts_as_its_alerts_severity(
    hook: Any, tmp_path: Path, alert: Make, until: Until
) -> None:
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path, min_severity="high")
    for pid, severity, ours in (
        (1, "high", {}),
        (1, "critical", {"alert": {"raised_from": "high"}}),
        (1, "critical", {"alert": {"raised_from": "high"}}),
        (2, "medium", {"story": {"level": "medium"}}),
        (3, "medium", {"story": {"level": "critical"}}),
    ):
        one = alert(pid, severity=severity)
        one["sockwarden"] = {**one.get("sockwarden", {}), **ours}
        sink.add([one])
    until(lambda: len(hook.requests) >= 3)
    sink.close()
    assert (pids(hook), sink.spool.duplicates) == ([1, 1, 3], 1)


def test_away_for_a_while(hook: Any, tmp_path: Path, alert: Make, until: Until, quick: None) -> None:
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path, shown="webhook a")
    hook.stop()
    for pid in range(200):
        began = time.monotonic()
        sink.add([alert(pid)])
        sink.tick(began)
        assert time.monotonic() - began < 0.2, "the run was held"
    notes: list[str] = []

    def told(most: int) -> bool:
        notes.extend(sink.notes())
        return len(notes) >= most

    until(lambda: told(1))
    time.sleep(0.3)
    hook.start()
    until(lambda: len(hook.requests) >= 200)
    until(lambda: told(2))
    sink.close()
    assert pids(hook) == list(range(200))
    first, last = [*notes, *sink.notes()]
    assert first.startswith("webhook a: alerts cannot be delivered\nno answer") and "secret" not in first
    assert last.startswith("webhook a: alerts are delivered again after") and "lost: 0" in last
    assert sink.lost == 0


def test_500s_are_tried_again(hook: Any, tmp_path: Path, alert: Make, until: Until, quick: None) -> None:
    hook.answers = [(500, {}, b"")] * 5 + [(200, {}, b"")]
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path)
    sink.add([alert(1)])
    until(lambda: len(hook.requests) >= 6)
    sink.close()
    notes = sink.notes()
    assert len(notes) == 2 and "answered 500" in notes[0] and "delivered again" in notes[1]


def test_waits_as_long_as_it_is_asked_to(hook: Any, tmp_path: Path, alert: Make, until: Until, quick: None) -> None:
    hook.answers = [(429, {"Retry-After": "1"}, b""), (200, {}, b"")]
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path)
    sink.add([alert(1)])
    until(lambda: len(hook.requests) >= 1)
    began = time.monotonic()
    until(lambda: len(hook.requests) >= 2)
    assert time.monotonic() - began > 0.9
    sink.close()


def test_refused_is_kept_and_told_once(hook: Any, tmp_path: Path, alert: Make, until: Until) -> None:
    hook.answers = [(400, {}, b"invalid_payload")]
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path)
    for pid in range(3):
        sink.add([alert(pid)])
    until(lambda: sink.refused == 3)
    sink.add([alert(0)])
    sink.close()
    kept = [json.loads(line) for line in (tmp_path / "refused-a.ndjson").read_text().splitlines()]
    assert [json.loads(one["payload"])["process"]["pid"] for one in kept] == [0, 1, 2]
    assert all("answered 400" in one["why"] and one["time"] for one in kept)
    assert (tmp_path / "refused-a.ndjson").stat().st_mode & 0o777 == 0o600
    told, count = sink.notes()
    assert "refused" in told and "invalid_payload" in told
    assert "3 alerts were refused, kept in" in count and "refused-a.ndjson" in count
    assert (sink.lost, len(hook.requests)) == (0, 3)


def test_refused_without_a_place_is_lost(hook: Any, tmp_path: Path, alert: Make, until: Until) -> None:
    hook.answers = [(400, {}, b"")]
    (tmp_path / "refused-a.ndjson").symlink_to(tmp_path / "elsewhere")
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path)
    sink.add([alert(1)])
    until(lambda: sink.refused == 1)
    sink.close()
    assert sink.lost == 1 and not (tmp_path / "elsewhere").exists()


def test_the_file_of_the_refused_is_bounded(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "refused", most_bytes=1000)
    for _ in range(10):
        quarantine.put([Refusal(Entry(b"", b"x" * 200), "no")])
    assert 500 < (tmp_path / "refused").stat().st_size <= 1000
    assert quarantine.lost == 10 - len((tmp_path / "refused").read_text().splitlines())


@pytest.mark.parametrize("receiver", ["away", "silent", "slow"])
def test_ends_within_two_seconds(hook: Any, tmp_path: Path, alert: Make, until: Until, receiver: str) -> None:
    if receiver == "away":
        hook.stop()
    else:
        hook.answers = [(-60, {}, b"")] if receiver == "silent" else [(200, {}, b"")]
    carrier: Any = Webhook(url(hook), timeout=60)
    if receiver == "slow":
        send = carrier.send

        def slowly(entries: Sequence[Entry]) -> Outcome:
            time.sleep(0.1)
            outcome: Outcome = send(entries)
            return outcome

        carrier.send = slowly
    sink = SpooledSink("a", carrier, tmp_path)
    for pid in range(100):
        sink.add([alert(pid)])
    time.sleep(0.2)
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 2.2
    totals = totals_of(tmp_path / "spool-a.db")
    assert totals and totals.waiting + totals.delivered == 100 and totals.waiting > 50
    assert f"{totals.waiting:,} alerts wait in the spool" in sink.notes()[-1]
    assert totals.delivered == len(hook.requests) if receiver != "silent" else totals.delivered == 0


KILLED = """
import sys, time
from pathlib import Path
from sockwarden.sinks.spooled import SpooledSink
from sockwarden.sinks.webhook import Webhook
from sockwarden.document import put
sink = SpooledSink("a", Webhook(sys.argv[1]), Path(sys.argv[2]))
first, last = map(int, sys.argv[3:])
for n in range(first, last):
    signal = {"uuid": f"{n:064}", "severity": "high", "rule": {"name": "r"}}
    sink.add([{"process": {"pid": n}, "kibana": {"alert": signal}}])
    print(n, flush=True)
while sink.spool.waiting:
    time.sleep(0.05)
sink.close()
"""


def test_killed_in_mid_delivery(hook: Any, tmp_path: Path) -> None:
    """Two kills and a run to the end: everything came, in order, and no more than one twice for each kill."""
    command = [sys.executable, "-c", KILLED, url(hook), str(tmp_path)]
    for first, last in ((0, 400), (400, 800)):
        process = subprocess.Popen([*command, str(first), str(last)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        said = first
        for line in process.stdout:
            said = int(line)
            if said == last - 50 and len(hook.requests) > 5:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait(30)
        assert process.returncode == -signal.SIGKILL and said == last - 50
    subprocess.run([*command, "800", "810"], check=True, stdout=subprocess.DEVNULL, timeout=60)
    found = pids(hook)
    assert set(found) >= {*range(351), *range(400, 751), *range(800, 810)}
    assert len(found) - len(set(found)) <= 2
    assert list(dict.fromkeys(found)) == sorted(set(found))


class Broken:
    """A carrier with an error of its own in it."""

    most_items, most_bytes = 10, 1 << 20

    def __init__(self) -> None:
        self.tries = 0
        self.closed = threading.Event()

    def pause(self, now: float) -> float:  # noqa: ARG002 - a Carrier's method
        return 0.0

    def send(self, entries: Sequence[Entry]) -> Outcome:
        self.tries += 1
        if self.tries < 3:
            raise ZeroDivisionError
        return Outcome(done=entries)

    def interrupt(self) -> None:
        """Never waits."""

    def close(self) -> None:
        self.closed.set()


def test_an_error_of_ours_does_not_end_the_thread(tmp_path: Path, alert: Make, until: Until, quick: None) -> None:
    carrier = Broken()
    sink = SpooledSink("a", carrier, tmp_path)
    sink.add([alert(1)])
    until(lambda: carrier.tries == 3)
    sink.close()
    assert carrier.closed.is_set()
    assert "ZeroDivisionError" in sink.notes()[0] and sink.lost == 0


def test_without_a_disk(hook: Any, tmp_path: Path, alert: Make, until: Until) -> None:
    """A file in the folder's place: alerts are delivered from memory, and that is told."""
    (tmp_path / "state").write_text("")
    sink = SpooledSink("a", Webhook(url(hook)), tmp_path / "state")
    for pid in range(20):
        sink.add([alert(pid)])
    until(lambda: len(hook.requests) >= 20)
    sink.close()
    assert pids(hook) == list(range(20))
    assert "cannot be used" in sink.notes()[0]
