"""The published rule over 100,000 audit documents in both of its index families, run by run, against what
`destination.address` as stored implies: a model in plain Python that shares nothing with the query language.

Told apart from run to run: what came late within the look-back, what the overlap holds twice, a process killed in the
middle of its search, a cluster that is away, catch-up windows, what stays a gap, and more matches than max_signals.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from indices import MOMENT, at, client_of, keyword_index
from node import Node

from sockwarden.detect import RuleDetection
from sockwarden.detect.scheduled import Window
from sockwarden.document import Document, get
from sockwarden.pipeline.scheduled import Runner, fill
from sockwarden.readers.index import IndexSource
from sockwarden.rules import load_packaged, select
from sockwarden.store import Run, Store

MINUTE = 60_000
DOCUMENTS, SPAN = 100_000, 60 * MINUTE
BURST, MAX_SIGNALS = 250, 100
ADDRESSES = {
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/var/run/docker.sock",
    "/run/docker.sock",
}
ALLOWED = re.compile(
    r"/usr/(local/)?bin/kubelet|/usr/s?bin/containerd|/usr/bin/containerd-shim|/usr/(local/)?bin/containerd-shim-runc-v2"
    r"|/usr/s?bin/dockerd|/var/lib/.*/usr/bin/dockerd|/usr/bin/docker-proxy",
    re.DOTALL,
)
NOISE: list[dict[str, Any]] = [
    {"event.category": ["process"], "event.action": "executed", "process.executable": "/usr/bin/bash"},
    {"destination.address": "10.0.0.7", "process.executable": "/usr/bin/curl"},
    {"destination.address": "/run/systemd/journal/socket", "process.executable": "/usr/bin/dbus-daemon"},
    {"destination.address": "/run/docker.sock", "process.executable": "/usr/bin/dockerd"},
    {"destination.address": "/run/docker.sock", "process.executable": "/var/lib/x/usr/bin/dockerd"},
    {"destination.address": "/run/docker.sock", "process.executable": None},
    {"destination.address": "/run/docker.sock", "event.action": "opened-file"},
    {"destination.address": "/RUN/docker.sock"},
    {"destination.address": "/run/docker.sock", "network.direction": "ingress"},
    {"destination.address": "/run/docker.sock", "host.os.type": "windows"},
]
HITS: list[dict[str, Any]] = [
    {"destination.address": "/run/docker.sock"},
    {"destination.address": "/var/run/docker.sock", "process.executable": "/opt/.x/s"},
    {"destination.address": ["/run/containerd/containerd.sock", "/opt/alias"]},
    {"destination.address": "/run/docker.sock", "process.executable": "/usr/bin/dockerd (deleted)"},
    {"destination.address": "/var/run/containerd/containerd.sock", "event.outcome": "failure"},
]


def audit(milliseconds: int, fields: dict[str, Any]) -> dict[str, Any]:
    """An audit document with dotted fields; one that is None is left out."""
    document = {
        "@timestamp": at(milliseconds),
        "host.os.type": "linux",
        "event.category": ["network"],
        "event.action": "connected-to",
        "network.direction": "egress",
        "process.executable": "/usr/bin/curl",
        **fields,
    }
    return {name: value for name, value in document.items() if value is not None}


def is_hit(document: dict[str, Any]) -> bool:
    """What the rule is about, read off the document as it is stored."""
    address = document.get("destination.address", ())
    executable = document.get("process.executable")
    return (
        document["host.os.type"] == "linux"
        and "network" in document["event.category"]
        and document["event.action"] == "connected-to"
        and document["network.direction"] == "egress"
        and not ADDRESSES.isdisjoint([address] if isinstance(address, str) else address)
        and executable is not None
        and ALLOWED.fullmatch(executable) is None
    )


class Indexed:
    """What both index families hold, and the alerts that follow from it.

    hits: of documents that match, the time and the `_id`
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.hits: list[tuple[int, str]] = []
        self.known: set[str] = set()
        self.overflow: set[str] = set()
        self._number = 0
        keyword_index(node, "auditbeat-9.0.0")
        mapping = node.http.get("/auditbeat-9.0.0").json()["auditbeat-9.0.0"]["mappings"]
        template = {"mappings": mapping, "settings": {"number_of_replicas": 0}}
        body = {"index_patterns": ["logs-auditd_manager.auditd-*"], "data_stream": {}, "template": template}
        node.http.put("/_index_template/auditd", json=body).raise_for_status()

    def write(self, documents: Iterator[tuple[int, dict[str, Any]]], *, addressed: bool = False) -> None:
        """Puts documents in turn into the one family and the other. Plain Auditbeat has a path and no address, unless
        they are to be addressed.
        """
        while batch := list(islice(documents, 10_000)):
            lines = []
            for milliseconds, fields in batch:
                self._number += 1
                plain = self._number % 2
                if plain and self._number % 5 and not addressed:
                    fields = {
                        **fields,
                        "destination.path": fields.get("destination.address"),
                        "destination.address": None,
                    }
                document = audit(milliseconds, fields)
                index = "auditbeat-9.0.0" if plain else "logs-auditd_manager.auditd-default"
                lines += [json.dumps({"create": {"_index": index, "_id": f"d{self._number}"}}), json.dumps(document)]
                if is_hit(document):
                    self.hits.append((MOMENT + milliseconds, f"d{self._number}"))
            headers = {"content-type": "application/x-ndjson"}
            answer = self.node.http.post("/_bulk", content="\n".join(lines) + "\n", headers=headers, timeout=120)
            assert not answer.raise_for_status().json()["errors"], answer.text[:1000]
        self.node.http.post("/_refresh").raise_for_status()

    def expect(self, windows: list[tuple[int, int]]) -> set[str]:
        """The alerts of a run over these windows, oldest first; each has an allowance of its own."""
        new: set[str] = set()
        for start, end in windows:
            fresh = [one for time, one in sorted(self.hits) if start <= time <= end and one not in self.known]
            self.known |= {*fresh[:MAX_SIGNALS]}
            new |= {*fresh[:MAX_SIGNALS]}
            self.overflow = (self.overflow | {*fresh[MAX_SIGNALS:]}) - self.known
        return new


def kibana(started: int, previous: int | None) -> tuple[list[tuple[int, int]], int]:
    """The windows of a run, oldest first, and how much no run looks at: window 9 minutes, interval 5."""
    gap = 0 if previous is None else started - previous - 9 * MINUTE
    count = min(-(-gap // (5 * MINUTE)), 4) if gap > 0 else 0
    shifts = [number * 5 * MINUTE for number in range(count, -1, -1)]
    return [(started - 9 * MINUTE - shift, started - shift) for shift in shifts], max(gap - count * 5 * MINUTE, 0)


def drawn(seed: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """All documents, each of a millisecond of its own; about one in 70 would match if its address were kept."""
    source = random.Random(seed)  # noqa: S311 - to be the same each time
    for number in range(DOCUMENTS):
        kind = HITS if source.random() < 1 / 70 else NOISE
        yield number * (SPAN // DOCUMENTS), source.choice(kind)


class Story:
    """Runs of the rule, one after the other, each held against the model."""

    def __init__(self, indexed: Indexed, store: Store) -> None:
        (rule,) = select(load_packaged(), "unusual-process-connection-runtime-socket")
        self.detection = RuleDetection(rule)
        self.indexed = indexed
        self.store = store
        self.previous: int | None = None
        self.now = MOMENT
        self._client = client_of(indexed.node)
        self.runner = Runner(store, IndexSource(self._client), clock=lambda: self.now)
        self._seen: set[str] = set()

    def at(self, minute: int) -> Run:
        """The run of this minute."""
        self.now = MOMENT + minute * MINUTE
        run = self.runner.run(self.detection)
        if run.status == "failed":
            assert not self.found(), "a run that failed has found nothing"
            return run
        windows, gap = kibana(self.now, self.previous)
        expected = self.indexed.expect(windows)
        assert self.found() == expected and run.alerts == len(expected), f"minute {minute}"
        assert (
            sum(one.end - one.start for one in self.store.runs.gaps(run.rule_id) if one.end < windows[0][0] + 2) == gap
        )
        self.previous = self.now
        return run

    def found(self) -> set[str]:
        """The `_id`s of the documents that became alerts since the last time."""
        ids = {
            str(get(alert, "kibana.alert.ancestors")[0]["id"])
            for alert in self.store.newest(1_000_000, rule=self.detection.rule.rule_id)
            if not is_summary(alert)
        }
        new = ids - self._seen
        assert self._seen <= ids
        self._seen = ids
        return new

    def close(self) -> None:
        self._client.close()


def is_summary(alert: Document) -> bool:
    """Whether it sums up what was too much for a run."""
    return bool(get(alert, "event.action") == "max-signals-exceeded")


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Node]:
    """A node that may be stopped."""
    running = Node(tmp_path_factory.mktemp("published"))
    running.start()
    yield running
    running.stop()


def test_run_by_run(own: Node, tmp_path: Path) -> None:
    indexed = Indexed(own)
    indexed.write(drawn(seed=20261125))
    assert 500 < len(indexed.hits) < 2000
    with Store(tmp_path, create=True) as store:
        story = Story(indexed, store)
        for minute in (5, 10, 15):
            run = story.at(minute)
            assert "none carries destination.address" not in " ".join(run.warnings)
        story.previous = kill_a_run(own, tmp_path, story)
        story.at(20)
        story.at(25)

        late = ((minute * MINUTE + 7, HITS[0]) for minute in (19, 22, 23, 24) for _ in range(12))
        indexed.write(late)
        assert any(time > MOMENT + 21 * MINUTE for time, one in indexed.hits if one not in indexed.known)
        story.at(30)

        own.stop()
        assert story.at(35).status == "failed"
        assert story.at(36).status == "failed"
        own.start()
        assert len(story.at(40).windows) == 2, "the gap of a minute is caught up with"

        indexed.write((52 * MINUTE + 2 * number + 1, HITS[1]) for number in range(BURST * 2))
        run = story.at(75)
        assert len(run.windows) == 5
        assert run.overflow == len(indexed.overflow) > 0
        (gap,) = store.runs.gaps(run.rule_id)
        assert (gap.start, gap.end) == (MOMENT + 40 * MINUTE, MOMENT + 46 * MINUTE)

        list(fill(story.detection, story.runner, store, Window(gap.start, gap.end)))
        assert store.runs.gaps(run.rule_id) == []
        found = story.found()
        assert found == indexed.expect([(gap.start, gap.start + 5 * MINUTE), (gap.start + 5 * MINUTE, gap.end)])
        seen_late = {one for time, one in indexed.hits if time < MOMENT + 21 * MINUTE} - indexed.known
        assert {one for _, one in indexed.hits} == indexed.known | indexed.overflow | seen_late
        story.close()


def kill_a_run(own: Node, state: Path, story: Story) -> int | None:
    """A run that is killed in the middle of its search leaves nothing, and is not what the next counts from."""
    script = Path(__file__).with_name("server") / "killed_run.py"
    now = MOMENT + 20 * MINUTE
    done = subprocess.run(
        [sys.executable, str(script), own.url, str(state), str(now), "30"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert story.found() == set()
    return story.previous


def test_more_hits_than_a_run_may_make_alerts_of(clean: Node, tmp_path: Path) -> None:
    indexed = Indexed(clean)
    fields = {"destination.address": "/run/docker.sock", "process.executable": "/opt/x"}
    indexed.write(((2 * number, fields) for number in range(BURST)), addressed=True)
    assert len(indexed.hits) == BURST
    with Store(tmp_path, create=True) as store:
        story = Story(indexed, store)
        run = story.at(5)
        assert (run.status, run.alerts, run.overflow) == ("partial", MAX_SIGNALS, BURST - MAX_SIGNALS)
        assert any("100" in warning for warning in run.warnings)
        alerts = list(store.newest(10_000, rule=run.rule_id))
        (summary,) = filter(is_summary, alerts)
        assert len(alerts) == MAX_SIGNALS + 1
        assert get(summary, "sockwarden.overflow.count") == BURST - MAX_SIGNALS
        assert get(summary, "sockwarden.overflow.executables")[0]["name"] == "/opt/x"
        kept = list(store.newest(10_000, kind="overflow", rule=run.rule_id))
        assert {get(one, "kibana.alert.ancestors")[0]["id"] for one in kept} == indexed.overflow
        story.close()
