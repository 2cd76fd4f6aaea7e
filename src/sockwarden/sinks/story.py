"""A story as a person reads it: who asked whom, for what, in order, and why that is bad."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from rich.text import Text

from sockwarden.alerts import RAISED_FROM
from sockwarden.document import Document, get
from sockwarden.sinks.actor import actor
from sockwarden.sinks.escape import escape, shorten
from sockwarden.sinks.paint import COLOURS
from sockwarden.stories import Asked, Story, higher, program_of

MOST_ENTRIES = 8
"""Requests that a screen shows at once."""
SECONDS = 10.0
"""Between two times that a story which goes on is shown."""
MOST_FOLLOWED = 256
MOST_A_SECOND = 10
"""Times that a story is shown within a second; what is over comes later."""
_MOST_ID = 12
_MOST_SUMMARY = 240
_MOST_NAMES = 160
_LEVELS = 8


def headline(story: Story, width: int) -> Text:
    """Level, id, who and whom, since when."""
    line = Text().append(f"▲ {story.level}", style=COLOURS.get(story.level, ""))
    line.append(f"  story {story.id[:8]}  ").append(escape(program_of(story.who)), style="bold")
    others = len(story.programs) - (program_of(story.who) in story.programs)
    line.append(f" and {others} more" if others > 0 else "")
    names = ", ".join(dict.fromkeys(escape(one.runtime or one.address or "an unknown socket") for one in story.sockets))
    line.append(f" {'asked' if story.asked else 'reached'} {shorten(names, _MOST_NAMES) or 'an unknown socket'}")
    moment = clock(story.began)
    return line.append(" " * max(width - line.cell_len - len(moment) - 1, 2) + moment)


def because(story: Story) -> list[Text]:
    """Why the level is what it is."""
    reasons = escape(", ".join(story.reasons))
    return [Text("  because: ", style="dim").append(reasons, style="not dim")] if reasons else []


def entry(asked: Asked) -> Text:
    """One request: when, how bad, what, how often, what came of it."""
    line = Text(f"  {clock(asked.time)}  ", style="dim")
    line.append(f"{asked.risk or 'unknown':<{_LEVELS}}", style=COLOURS.get(asked.risk, "dim")).append("  ")
    line.append(shorten(escape(asked.summary), _MOST_SUMMARY), style="not dim")
    line.append(f"  \N{MULTIPLICATION SIGN}{asked.count:,}" if asked.count > 1 else "", style="bold not dim")
    return line.append(_came_of(asked), style="dim")


def clock(moment: str) -> str:
    """The time of day of a date, in UTC; empty where it is none."""
    try:
        return f"{datetime.fromisoformat(moment).astimezone(UTC):%H:%M:%S}"
    except (ValueError, OverflowError):
        return ""


def _came_of(asked: Asked) -> str:
    status = "" if asked.status is None else str(asked.status)
    words = ("failed" if asked.outcome == "failure" else "", status)
    returned = f"→ {escape(asked.returned.removeprefix('sha256:')[:_MOST_ID])}" if asked.returned else ""
    return "".join(f"  {part}" for part in (" ".join(filter(None, words)), returned) if part)


class _Followed(msgspec.Struct):
    """A story on the screen.

    shown   the number of the last request that was told; at, level: when, by time.monotonic, and the level then
    raised  since then: names of rules whose alerts became more severe, and what they were
    """

    story: Story
    shown: int = 0
    at: float = float("-inf")
    level: str = "low"
    raised: dict[str, str] = {}


class Screen:
    """Which lines of stories a screen is to show when: those of a story that rose at once; of one that goes on, what is
    new, every SECONDS; and no more than MOST_A_SECOND. Only of stories above low in which something was asked: of
    others an alert tells as much. Of a runtime's own part only above medium: what it is asked for it asks of the next.
    """

    def __init__(self) -> None:
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._now = self._second = time.monotonic()
        self._left = MOST_A_SECOND

    def take(self, story: Story, width: int, raised: Sequence[Document] = ()) -> Iterator[Text]:
        """Takes a story that went on; gives what is to be shown at once."""
        known = get(story.who, "sockwarden.actor.verified") is True
        if story.level == "low" or not story.asked or (known and not higher(story.level, "medium")):
            return
        one = self._followed.setdefault(story.id, _Followed(story))
        one.story = story
        self._followed.move_to_end(story.id)
        if len(self._followed) > MOST_FOLLOWED:
            self._followed.popitem(last=False)
        for alert in raised:
            one.raised[str(get(alert, "kibana.alert.rule.name"))] = str(get(alert, RAISED_FROM))
        if one.level != story.level and self._left > 0:
            yield from self._lines(one, width)

    def tick(self, now: float, width: int) -> Iterator[Text]:
        """What is new in stories that go on. now: time.monotonic."""
        self._now = now
        if now - self._second >= 1:
            self._second, self._left = now, MOST_A_SECOND
        for one in self._followed.values():
            if self._left > 0 and one.shown < one.story.asked[-1].number and now - one.at >= SECONDS:
                yield from self._lines(one, width)

    def close(self, width: int) -> Iterator[Text]:
        """What was not shown yet."""
        return self.tick(float("inf"), width)

    def _lines(self, one: _Followed, width: int) -> Iterator[Text]:
        story = one.story
        new = [asked for asked in story.asked if asked.number > one.shown]
        if one.level != story.level:
            yield headline(story, width)
            yield from because(story)
            yield from actor(story.who, width)
        else:
            yield Text(f"  story {story.id[:8]} goes on", style="dim").append(f"  {story.level}", COLOURS[story.level])
        yield from told(new, MOST_ENTRIES)
        for name, before in one.raised.items():
            yield Text("  raised from ", style="dim").append(f"{before}: {escape(name)}", style="not dim")
        yield Text(f"  sockwarden stories show {story.id[:8]}", style="dim")
        yield Text()
        one.shown, one.at, one.level = story.asked[-1].number, self._now, story.level
        one.raised.clear()
        self._left -= 1


def told(asked: Sequence[Asked], most: int) -> Iterator[Text]:
    """Lines of requests, in order; where there are too many, the latest and how many were before."""
    if left := asked[:-most]:
        count = sum(one.count for one in left)
        yield Text(f"  {count:,} request{'s' if count > 1 else ''} before", style="dim")
    yield from map(entry, asked[-most:])
