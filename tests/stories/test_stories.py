"""What becomes of documents: cases.toml; and that nothing grows without bound, whatever comes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from story_documents import BEGAN, document_of

from sockwarden.alerts import Detector, build
from sockwarden.document import Document
from sockwarden.stories import Stories, Story, Told, summary_of
from sockwarden.stories.stories import MOST_ENTRIES, MOST_UNWRITTEN, QUIET_SECONDS
from sockwarden.stories.story import MOST_ASKED, MOST_NAMES, MOST_SOCKETS, MOST_TEXT

CASES = tomllib.loads(Path(__file__).with_name("cases.toml").read_text("utf-8"))["case"]


def document_in(row: dict[str, Any]) -> Document:
    row = {**row}
    if ask := row.pop("ask", ""):
        risk, operation = ask.split()
        row["asked"] = {"risk": risk, "operation": operation, "reasons": row.pop("because", [])}
    if "login" in row:
        row["login"] = tuple(row["login"])
    row |= {key: None for key in ("pid", "inode") if row.get(key) == 0}
    return document_of(**row)


def told_of(story: Story) -> dict[str, Any]:
    asked = [one.summary + (f" x{one.count}" if one.count > 1 else "") for one in story.asked]
    told = {"kind": story.kind, "level": story.level, "asked": asked, "reasons": story.reasons}
    told |= {name: getattr(story, name) for name in ("accesses", "requests", "failures")}
    return {key: value for key, value in told.items() if value or key in ("kind", "level", "asked")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases(case: dict[str, Any]) -> None:
    stories = Stories("boot", reads=case.get("reads", True))
    found: dict[str, Story] = {}
    for row in case["documents"]:
        if told := stories.take(document_in(row), [], row["at"]):
            found[told.story.id] = told.story
    for now in case.get("ticks", ()):
        list(stories.tick(now))
    assert [told_of(story) for story in found.values()] == case["stories"]
    assert {story.id for story in stories.changed()} == set(found)


def detector(severity: Any = "medium", *, mapped: bool = True) -> Detector:
    mapping = (("sockwarden.request.risk", "critical", "critical"), ("sockwarden.request.risk", "high", "high"))
    more = {
        "severity_mapping": [
            {"field": field, "operator": "equals", "value": value, "severity": to} for field, value, to in mapping
        ]
    }
    return Detector("r", "A rule", severity, 47, "1", [], {}, more if mapped else {})


def told(stories: Stories, document: Document, *detectors: Detector, now: float = 0) -> Told:
    found = stories.take(document, [build(document, each, view=None) for each in detectors], now)
    assert found
    return found


def request(risk: str, at: float = 1, **more: Any) -> Document:
    return document_of(
        at, asked={"risk": risk, "operation": "container-create", "summary": "create container web"}, **more
    )


def signal(alert: Document) -> dict[str, Any]:
    found: dict[str, Any] = alert["kibana"]["alert"]
    return found


def test_a_request_raises_the_alert_of_its_connect() -> None:
    stories = Stories(reads=True)
    (alert,) = told(stories, document_of(), detector()).alerts
    assert not told(stories, request("medium")).raised
    (high,) = told(stories, request("high", 2)).raised
    (critical,) = told(stories, request("critical", 3)).raised
    assert not told(stories, request("critical", 4)).raised
    assert [signal(each)["severity"] for each in (alert, high, critical)] == ["medium", "high", "critical"]
    assert len({signal(each)["uuid"] for each in (alert, high, critical)}) == 1
    assert critical["sockwarden"]["alert"]["raised_from"] == "high"
    assert critical["sockwarden"]["request"]["risk"] == "critical"
    assert critical["sockwarden"]["story"] == alert["sockwarden"]["story"]
    assert critical["event"]["action"] == "connected-to"
    assert signal(critical)["reason"] == (
        "curl by user root asked docker on /run/docker.sock to create container web: critical alert A rule"
    )
    assert "raised_from" not in alert["sockwarden"].get("alert", {}), "what was told is not changed"


def test_an_alert_that_is_as_severe_or_has_no_mapping_stays() -> None:
    stories = Stories(reads=True)
    told(stories, document_of(), detector("critical"), detector(mapped=False))
    assert not told(stories, request("critical")).raised


def test_a_request_raises_alerts_of_its_own_connection_alone() -> None:
    stories = Stories(reads=True)
    told(stories, document_of(inode=1), detector())
    assert not told(stories, request("critical", inode=2)).raised
    assert not told(stories, request("critical", inode=None)).raised


def test_who_is_found_to_hold_a_connection_later_is_raised_at_once() -> None:
    stories = Stories(reads=True)
    told(stories, request("critical"))
    (raised,) = told(stories, document_of(2, action="held-connection", pid=99), detector()).raised
    assert signal(raised)["severity"] == "critical"


def test_a_connection_that_was_handed_on_raises_the_story_of_who_made_it_only_by_its_alert() -> None:
    stories = Stories(reads=True)
    maker = told(stories, document_of(container="a"), detector()).story
    sender = told(stories, request("critical", container="b"))
    assert [one.severity for one in maker.alerts] == ["critical"] and maker.id != sender.story.id
    assert sender.story.level == "critical"


def test_a_rule_over_requests_raises_the_level_and_one_over_accesses_does_not() -> None:
    stories = Stories(reads=True)
    assert told(stories, document_of(), detector("critical")).story.level == "low"
    story = told(stories, request("low"), detector("high")).story
    assert (story.level, story.reasons) == ("high", ["A rule"])


def test_ids_are_stable_and_tell_actors_and_boots_apart() -> None:
    def identity(boot: str, **more: Any) -> str:
        return told(Stories(boot), document_of(**more)).story.id

    assert identity("b") == identity("b")
    assert len({identity("b"), identity("c"), identity("b", container="x"), identity("b", at=1)}) == 4


def test_who_asks_for_harmless_things_until_there_is_no_room_is_told_with_what_is_not() -> None:
    stories = Stories(reads=True)
    for number in range(3 * MOST_ASKED):
        asked = {"risk": "low", "operation": "container-inspect", "summary": f"inspect {number}"}
        story = told(stories, document_of(number / 10, asked=asked)).story
    story = told(stories, request("critical", 100)).story
    assert len(story.asked) == MOST_ASKED and story.asked[-1].risk == "critical"
    assert sum(one.count for one in story.asked) + story.more == story.requests == 3 * MOST_ASKED + 1
    assert "create container web" in summary_of(story)


def test_a_connection_is_not_forgotten_when_its_story_is() -> None:
    """Who has many others begin stories meanwhile is graded all the same."""
    stories = Stories(reads=True, most=2)
    told(stories, document_of(container="a", inode=1))
    for number in range(5):
        told(stories, request("low", container=f"x{number}", inode=100 + number))
    assert [each.story.level for each in stories.tick(11)] == ["high"]


def test_a_flood_of_silent_connections_is_graded_before_its_time() -> None:
    stories = Stories(reads=True)
    for number in range(1100):
        told(stories, document_of(inode=number + 1, container="a"))
    assert [each.rose for each in stories.tick(1)] == [True]


def test_a_quiet_story_is_written_seldom_and_others_soon() -> None:
    stories = Stories(reads=True)
    told(stories, document_of())
    assert len(list(stories.changed(0))) == 1
    told(stories, document_of(1, inode=78))
    assert not list(stories.changed(1))
    assert len(list(stories.changed(QUIET_SECONDS))) == 1
    told(stories, request("medium", 2))
    assert len(list(stories.changed(QUIET_SECONDS + 1))) == 1
    assert not list(stories.changed())


def test_of_a_flood_of_stories_the_oldest_are_forgotten_and_counted() -> None:
    stories = Stories(reads=True)
    for actor in range(MOST_UNWRITTEN + 5):
        told(stories, document_of(container=str(actor), inode=None))
    assert stories.lost == 5 and len(list(stories.changed())) == MOST_UNWRITTEN


def test_what_is_unknown_is_no_less_than_what_is_low() -> None:
    stories = Stories(reads=True)
    told(stories, document_of(asked={"operation": "unknown", "summary": "?"}))
    for number in range(MOST_ASKED + 9):
        told(stories, document_of(number, asked={"risk": "low", "operation": "o", "summary": f"{number}"}))
    story = told(stories, request("critical", 900)).story
    assert [one.summary for one in story.asked if one.risk != "low"] == ["?", "create container web"]


def test_entries_of_all_stories_together_are_bounded() -> None:
    stories = Stories(reads=True, most=10_000)
    living: set[str] = set()
    for actor in range(MOST_ENTRIES // MOST_ASKED + 20):
        for number in range(MOST_ASKED):
            asked = {"risk": "low", "operation": "o", "summary": f"{number}"}
            living.add(told(stories, document_of(number / 100, asked=asked, container=str(actor), inode=None)).story.id)
    assert sum(len(one.story.asked) for one in stories._open.values()) <= MOST_ENTRIES
    assert {story.id for story in stories.changed()} == living, "all are written"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["low", "critical", "x" * 2000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["risk", "operation", "object", "summary", "reasons", "status", "returned_id", "method", "path", "container"]
)


@given(st.lists(st.dictionaries(KEYS, ANY, min_size=1), min_size=1, max_size=8))
def test_whatever_a_request_says_it_is_taken_and_bounded(requests: list[dict[str, Any]]) -> None:
    stories = Stories(reads=True)
    for place, asked in enumerate(requests):
        document = document_of(place)
        document["event"] |= {"dataset": "sockwarden.request", "action": "requested"}
        document["sockwarden"]["request"] = asked
        story = told(stories, document, detector()).story
    assert story.requests == len(requests)
    assert all(len(text) <= MOST_TEXT for text in texts(story))
    assert len(summary_of(story)) <= 600


def texts(story: Story) -> Iterator[str]:
    for one in story.asked:
        yield from (one.operation, one.object, one.summary, one.returned, *one.reasons)


def test_names_and_sockets_are_bounded() -> None:
    stories = Stories()
    for number in range(100):
        document = document_of(number, login=("1", 1), pid=number, inode=None)
        document["sockwarden"]["socket"] = {"runtime": "r", "canonical": f"/{number}", "address_as_given": "/x"}
        story = told(stories, document).story
    assert (len(story.programs), len(story.sockets), story.accesses) == (MOST_NAMES, MOST_SOCKETS, 100)
    assert story.first_ms == BEGAN * 1000
