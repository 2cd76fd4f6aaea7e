"""What reaches people: notifying.toml, through a whole delivery; and what every other sink gets meanwhile."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from story_documents import document_of

from sockwarden.alerts import Detector, build, is_raised
from sockwarden.detect import Engine, RuleDetection, SignatureDetection
from sockwarden.document import Document, get
from sockwarden.health import Trouble
from sockwarden.health import document_of as health_of
from sockwarden.pipeline.delivery import Delivery
from sockwarden.pipeline.live import Judged
from sockwarden.rules import load_packaged
from sockwarden.signatures import SIGNATURES
from sockwarden.sinks.told import of_alert, sentence
from sockwarden.store import Keeper, Store

CASES = tomllib.loads(Path(__file__).with_name("notifying.toml").read_text("utf-8"))["case"]
NOW = 100.0
MAPPED = {
    "severity_mapping": [
        {"field": "sockwarden.request.risk", "operator": "equals", "value": risk, "severity": risk}
        for risk in ("high", "critical")
    ]
}


class Taking:
    """A sink that remembers."""

    lost = 0

    def __init__(self, *, notifies: bool) -> None:
        self.notifies = notifies
        self.taken: list[Document] = []

    def add(self, alerts: Sequence[Document]) -> None:
        self.taken.extend(alerts)

    def tick(self, now: float) -> None: ...

    def reopen(self) -> None: ...

    def notes(self) -> list[str]:
        return []

    def close(self) -> None: ...

    def take(self) -> list[str]:
        taken, self.taken = self.taken, []
        return [f"{get(one, 'kibana.alert.severity')}{'^' if is_raised(one) else ''}" for one in taken]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path, max_age_days=30_000, max_bytes=64 << 20)
    yield keeper
    keeper.close()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sockwarden.pipeline.delivery.time.monotonic", lambda: NOW)


def judged(number: int, step: dict[str, Any]) -> Judged:
    asked = {"risk": step["ask"], "operation": "o", "summary": "do something"} if "ask" in step else None
    login = ("1000", step["login"]) if "login" in step else None
    document = document_of(number, asked=asked, login=login, container=step.get("container", ""))
    alerts = []
    for place, text in enumerate(step.get("alerts", ())):
        severity, _, block = text.partition("+")
        more = MAPPED if step.get("mapped") else {}
        detector = Detector(str(place), "A rule", severity, 1, "1", [], {}, more, building_block=bool(block))
        alerts.append(build(document, detector, view=None))
    return Judged(document, alerts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases(case: dict[str, Any], keeper: Keeper) -> None:
    people, file = Taking(notifies=True), Taking(notifies=False)
    delivery = Delivery([people, file], keeper, print, case.get("notify", "graded"))
    delivery.reads_requests(case.get("reads", True))
    told, made = [], 0
    for number, step in enumerate(case["steps"]):
        if "tick" in step:
            delivery.tick(NOW + step["tick"])
        else:
            one = judged(number, step)
            made += len(one.alerts)
            delivery.accesses([one])
        told.append(people.take())
    assert told == [step["told"] for step in case["steps"]]
    assert sum(not one.endswith("^") for one in file.take()) == made == delivery.counts.alerts


def test_health_goes_whatever_the_stories(keeper: Keeper) -> None:
    people = Taking(notifies=True)
    delivery = Delivery([people], keeper, print)
    delivery.reads_requests(True)
    document = health_of(Trouble("audit-disabled", "auditing is off"), 0)
    delivery.alerts([build(document, Detector("h", "Health", "low", 1, "1", [], {}), view=None)])
    assert people.take() == ["low"]


def test_what_goes_says_what_the_story_is(keeper: Keeper) -> None:
    people, file = Taking(notifies=True), Taking(notifies=False)
    delivery = Delivery([people, file], keeper, print)
    delivery.reads_requests(True)
    asked = {"risk": "critical", "operation": "o", "summary": "create web\x1b[2J", "reasons": ["privileged"]}
    document = document_of(asked=asked)
    delivery.accesses([Judged(document, [build(document, Detector("r", "R", "high", 73, "1", [], {}), view=None)])])
    (alert,) = people.taken
    story = alert["sockwarden"]["story"]
    assert (story["level"], story["reasons"]) == ("critical", ["privileged"])
    assert story["summary"] == "/usr/bin/curl 4711 by user root asked docker: create web\x1b[2J"
    assert file.taken[0]["sockwarden"]["story"] == {"id": story["id"]}
    assert "in a story that is critical (privileged): /usr/bin/curl 4711 by user root asked docker" in sentence(alert)
    facts = dict(of_alert(alert).facts)
    assert facts["Asked"] == "create web\\x1b[2J" and story["id"][:8] in facts["Story"] and "\x1b" not in facts["Story"]


def test_the_store_has_the_raised_alert_and_the_story(keeper: Keeper, tmp_path: Path) -> None:
    delivery = Delivery([], keeper, print)
    delivery.reads_requests(True)
    delivery.accesses(
        [judged(0, {"login": 1, "alerts": ["medium"], "mapped": True}), judged(1, {"login": 1, "ask": "critical"})]
    )
    delivery.close()
    with Store(tmp_path, create=False) as store:
        (alert,) = store.newest(9, severities=("critical",))
        (story,) = store.stories.newest(9)
        assert store.count() == 1 and store.count_accesses() == 2
    assert alert["sockwarden"]["story"]["id"] == story.id
    assert (story.level, story.alerts[0].severity, [one.risk for one in story.asked]) == (
        "critical",
        "critical",
        ["critical"],
    )


def test_requests_are_counted_apart(keeper: Keeper) -> None:
    delivery = Delivery([], keeper, print)
    delivery.accesses([judged(0, {"login": 1}), judged(1, {"login": 1, "ask": "low"})])
    assert (delivery.counts.accesses, delivery.counts.requests) == (1, 1)


def test_a_request_matches_neither_of_the_published_detections() -> None:
    """Nor the broader rule of ours: each alert of theirs is of an access."""
    rules = [RuleDetection(rule) for rule in load_packaged() if rule.stem.startswith("unusual-")]
    engine = Engine([*rules, *(SignatureDetection(kind()) for kind in SIGNATURES)])
    asked = {"risk": "critical", "operation": "container-create", "summary": "create"}
    assert len(list(engine.judge(document_of(1, container="c0ffee")))) >= 2
    assert not list(engine.judge(document_of(2, asked=asked, container="c0ffee")))


@pytest.mark.parametrize(
    ("notify", "reads", "words"),
    [("graded", True, "at or above high"), ("graded", False, "cannot be read here"), ("all", True, "get every alert")],
)
def test_the_start_says_what_goes(keeper: Keeper, notify: Any, reads: bool, words: str) -> None:
    delivery = Delivery([Taking(notifies=True)], keeper, print, notify)
    delivery.reads_requests(reads)
    assert words in delivery.notifying.line() and delivery.notifies
