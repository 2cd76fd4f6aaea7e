"""Stories are written anew when they go on, and age like all else; an alert is replaced when it is raised."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.errors import UsageError
from sockwarden.store import Keeper, Store
from sockwarden.stories import Asked, Story

MOMENT = 1_795_000_000_000


def story(number: int = 1, *, last: int = MOMENT, level: Any = "low", asked: int = 1) -> Story:
    entries = [Asked(place + 1, "t", "t", "o", "x", f"do {place} \udcff", "low") for place in range(asked)]
    return Story(f"{number:032x}", "session", "t", "t", MOMENT, last, level, asked=entries)


def rows(*stories: Story) -> list[Any]:
    from sockwarden.store.stories import story_row  # noqa: PLC0415 - the store's own

    return [story_row(one) for one in stories]


def test_the_latest_of_each_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.stories.write(rows(story(1), story(2, last=MOMENT + 5)))
        store.stories.write(rows(story(1, last=MOMENT + 9, level="high", asked=3)))
        first, second = store.stories.newest(9)
        assert (first.level, len(first.asked), second.id[-1]) == ("high", 3, "2")
        assert first.asked[0].summary == "do 0 ?", "what JSON cannot hold"
        assert [one.id for one in store.stories.newest(9, levels=("high", "critical"))] == [first.id]
        assert store.stories.count() == 2 and store.stories.count(since=MOMENT + 6) == 1
        sizes = store._database.execute("SELECT stories FROM sizes").fetchone()[0]
        assert sizes == store._database.execute("SELECT sum(length(document)) FROM stories").fetchone()[0]


def test_one_is_found_by_its_first_digits(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.stories.write(rows(story(0xA << 124), story(0xB << 124)))
        assert store.stories.find("a").id.startswith("a0")
        for prefix, message in (("", "no story's id"), ("xyz", "no story's id"), ("c", "no story has")):
            with pytest.raises(UsageError, match=message):
                store.stories.find(prefix)


def test_they_age_and_make_room_like_all_else(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.stories.write(rows(*(story(number) for number in range(10))))
        now = MOMENT / 1000
        assert store.prune(7, 1 << 30, now + 86_400).stories == 0
        assert store.prune(7, 1 << 30, now + 8 * 86_400).stories == 10
        assert store.stories.count() == 0
        assert store._database.execute("SELECT stories FROM sizes").fetchone()[0] == 0


def test_a_store_of_before_takes_stories(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        for statement in (
            "DROP TABLE stories",
            "ALTER TABLE sizes DROP COLUMN stories",
            "DROP INDEX alerts_by_choice",
            "CREATE INDEX alerts_by_time ON alerts (kind, time)",
            "PRAGMA user_version = 5",
        ):
            store._database.execute(statement)
    with Store(tmp_path, create=False) as store:
        store.stories.write(rows(story()))
        assert store.stories.count() == 1


def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path, max_age_days=30_000, max_bytes=64 << 20)


def test_the_keeper_writes_a_story_once_a_commit(tmp_path: Path) -> None:
    kept = keeper(tmp_path)
    for count in range(1, 4):
        kept.keep_stories([story(asked=count)])
    kept.flush(time.monotonic())
    with Store(tmp_path, create=False) as store:
        (one,) = store.stories.newest(9)
    assert len(one.asked) == 3
    kept.keep_stories([story(2)])
    kept.close()
    with Store(tmp_path, create=False) as store:
        assert store.stories.count() == 2


def test_while_the_store_takes_nothing_stories_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(rows(story())[0].document)
    monkeypatch.setattr("sockwarden.store.keeper._MOST_STORIES", 10 * size + size // 2)
    (tmp_path / "state").write_text("a file where the folder should be", encoding="ascii")
    kept = keeper(tmp_path / "state")
    for _ in range(2):
        kept.keep_stories(story(number) for number in range(16, 32))
        kept.flush(0)
    assert kept.dropped == 22
    kept.close()


def raised(alert: dict[str, Any], severity: str) -> dict[str, Any]:
    signal = {**alert["kibana"]["alert"], "severity": severity, "reason": "because", "workflow_status": "open"}
    return {**alert, "kibana": {"alert": signal}}


def test_a_raised_alert_replaces_its_old_one_and_keeps_what_a_person_said(
    tmp_path: Path, alert: Any, access: Any
) -> None:
    one, kept = alert(1), keeper(tmp_path)
    uuid = one["kibana"]["alert"]["uuid"]
    kept.keep(access(1), [one])
    kept.flush(0)
    with Store(tmp_path, create=False) as store:
        store.answer([uuid], "acknowledged", user="root", at="2026-01-01T00:00:00.000Z")
    kept.keep(access(2), [], [raised(one, "critical")])
    kept.keep(access(3), [], [raised(one, "high")])
    kept.keep(access(4), [], [raised(alert(9), "high")])
    kept.close()
    with Store(tmp_path, create=False) as store:
        found = store.find(uuid)["kibana"]["alert"]
        assert store.count() == store.count(severities=("critical",)) == 1, (
            "nothing becomes less, nothing is made of nothing"
        )
    assert (found["severity"], found["reason"]) == ("critical", "because")
    assert (found["workflow_status"], found["workflow_user"]) == ("acknowledged", "root")


def test_an_alert_that_waits_to_be_written_is_raised_after_it(tmp_path: Path, alert: Any, access: Any) -> None:
    kept = keeper(tmp_path)
    kept.keep(access(1), [alert(1)])
    kept.keep(access(2), [], [raised(alert(1), "high")])
    kept.close()
    with Store(tmp_path, create=False) as store:
        assert store.count(severities=("high",)) == 1


def test_a_story_is_json_as_it_is(tmp_path: Path) -> None:
    with Store(tmp_path, create=True) as store:
        store.stories.write(rows(story()))
        (one,) = store.stories.newest(1)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Story) == one
