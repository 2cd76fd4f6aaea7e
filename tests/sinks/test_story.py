"""What a screen shows of stories: those that rose at once, of those that go on what is new."""

from __future__ import annotations

from typing import Any

import pytest
from story_documents import document_of

from sockwarden.sinks.story import MOST_A_SECOND, MOST_ENTRIES, SECONDS, Screen
from sockwarden.stories import Stories, Story


def ask(stories: Stories, at: float, risk: str, summary: str, **more: Any) -> Story:
    extra: dict[str, Any] = {key: more.pop(key) for key in ("status", "returned_id", "reasons") if key in more}
    asked = {"risk": risk, "operation": summary, "summary": summary, **extra}
    told = stories.take(document_of(at, asked=asked, **more), [], at)
    assert told
    return told.story


def shown(lines: Any) -> list[str]:
    return [line.plain for line in lines]


@pytest.fixture
def stories() -> Stories:
    return Stories("boot", reads=True)


def test_a_story_that_rose(stories: Stories) -> None:
    screen = Screen()
    assert not shown(screen.take(ask(stories, 0, "low", "list containers", status=200), 100))
    story = ask(
        stories, 1, "critical", "create web\x1b[2J", status=201, returned_id="4f5e" * 16, reasons=["privileged"]
    )
    raised = {"kibana": {"alert": {"rule": {"name": "A\x1b rule"}}}, "sockwarden": {"alert": {"raised_from": "medium"}}}
    assert shown(screen.take(story, 100, [raised])) == [
        f"▲ critical  story {story.id[:8]}  /usr/bin/curl 4711 asked docker" + " " * 32 + "11:06:40",
        "  because: privileged",
        "  root",
        "  11:06:40  low       list containers  200",
        "  11:06:41  critical  create web\\x1b[2J  201  → 4f5e4f5e4f5e",
        "  raised from medium: A\\x1b rule",
        f"  sockwarden stories show {story.id[:8]}",
        "",
    ]


def test_what_is_new_is_shown_now_and_then(stories: Stories) -> None:
    screen = Screen()
    list(screen.take(ask(stories, 0, "high", "create web"), 100))
    now = screen._now
    for at in (1, 2):
        assert not shown(screen.take(ask(stories, at, "low", "start web", outcome="failure", status=409), 100))
    assert not shown(screen.tick(now + SECONDS / 2, 100))
    story, times = ask(stories, 3, "low", "start web", outcome="failure", status=409), "\N{MULTIPLICATION SIGN}3"
    assert shown(screen.tick(now + SECONDS, 100)) == [
        f"  story {story.id[:8]} goes on  high",
        f"  11:06:41  low       start web  {times}  failed 409",
        f"  sockwarden stories show {story.id[:8]}",
        "",
    ]
    assert not shown(screen.tick(now + 3 * SECONDS, 100)), "each once"


def test_of_many_the_latest(stories: Stories) -> None:
    for at in range(20):
        ask(stories, at, "low", f"inspect {at}")
    lines = shown(Screen().take(ask(stories, 21, "high", "create web"), 100))
    assert "  13 requests before" in lines
    assert len([line for line in lines if "  low " in line or "  high " in line]) == MOST_ENTRIES


@pytest.mark.parametrize("risk", ["low", ""])
def test_of_one_that_is_low_or_without_requests_nothing(stories: Stories, risk: str) -> None:
    screen = Screen()
    told = stories.take(document_of(container="c0ffee"), [], 0)
    if risk:
        ask(stories, 1, risk, "list", container="c0ffee")
    else:
        list(stories.tick(11))
    assert told and not shown(screen.take(told.story, 100)) and not shown(screen.close(100))


def test_no_more_than_a_person_reads(stories: Stories) -> None:
    screen = Screen()
    rose = [shown(screen.take(ask(stories, 0, "high", "x", container=str(number)), 100)) for number in range(25)]
    assert len(list(filter(None, rose))) == MOST_A_SECOND
    later = shown(screen.tick(screen._now + 1, 100))
    assert len([line for line in later if line.startswith("▲")]) == MOST_A_SECOND
    assert len([line for line in shown(screen.tick(screen._now + 1, 100)) if line.startswith("▲")]) == 5
