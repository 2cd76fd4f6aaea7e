"""`sockwarden stories`: what one actor did, held together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click
import msgspec
from rich.table import Table
from rich.text import Text

from sockwarden.alerts import SEVERITIES
from sockwarden.cli.output import console, print_notes, write_line
from sockwarden.cli.times import utc
from sockwarden.settings import state_folder
from sockwarden.sinks import escape
from sockwarden.sinks.actor import actor
from sockwarden.sinks.story import because, entry, headline
from sockwarden.sinks.terminal import put
from sockwarden.store import Store
from sockwarden.stories import Story, program_of

_state = click.option("--state", metavar="DIR", help="The state folder; else SOCKWARDEN_STATE or the system's place.")
_json = click.option("--json", "as_json", is_flag=True, help="Whole stories as JSON, one a line.")
_MOST_ASKED = 3
_SHORT = 8
"""Digits of an id that are shown; any that tell it from others suffice."""


@click.group()
def stories() -> None:
    """What one actor did, held together, as `watch` saw it: what was asked, in order, and how bad that is."""


@stories.command("list")
@click.option("--level", type=click.Choice(SEVERITIES), help="This level and above.")
@click.option("--since", metavar="TIME", help="That went on after this: 2026-11-21, now-2h, ISO 8601 in UTC.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@_state
@_json
def list_(level: str | None, since: str | None, limit: int, state: str | None, as_json: bool) -> None:
    """Stories, the one that went on last first."""
    levels = SEVERITIES[SEVERITIES.index(level) :] if level else SEVERITIES
    text = utc(since, option="--since")
    after = int(datetime.fromisoformat(text).timestamp() * 1000) if text else 0
    table = Table("id", "last (UTC)", "level", "story", box=None, header_style="dim")
    for column in table.columns[:3]:
        column.no_wrap = True
    table.columns[3].overflow = "fold"
    with Store(state_folder(state), create=False) as store:
        count = store.stories.count(levels=levels, since=after)
        for story in store.stories.newest(limit, levels=levels, since=after):
            if as_json:
                write_line(msgspec.json.encode(story))
            else:
                table.add_row(*map(Text, _cells(story)))
    if not as_json:
        console().print(table if table.row_count else "no stories")
    if count > limit:
        print_notes([f"{count - limit:,} more; --limit {count} shows all."])


@stories.command()
@click.argument("identity", metavar="ID")
@_state
@_json
def show(identity: str, state: str | None, as_json: bool) -> None:
    """One story with all that was asked in it, in order; the first digits of the id suffice."""
    with Store(state_folder(state), create=False) as store:
        story = store.stories.find(identity)
    if as_json:
        write_line(msgspec.json.encode(story))
        return
    out = console()
    for line in _lines(story, out.width):
        put(out, line)


def _lines(story: Story, width: int) -> Iterator[Text]:
    yield headline(story, width)
    yield from because(story)
    yield from actor(story.who, width)
    yield Text()
    for label, value in _facts(story):
        if value:
            yield Text(f"  {label:<10}", style="dim").append(escape(value), style="not dim")
    if story.asked:
        yield Text("\n  asked", style="dim")
        for asked in story.asked:
            yield entry(asked).append(f"  {asked.access[:_SHORT]}", style="dim")
            if why := ", ".join(asked.reasons):
                yield Text(f"{'':22}{escape(why)}", style="dim")
    if story.more:
        yield Text(f"  and {story.more:,} more, for which there was no room")
    if story.alerts:
        yield Text("\n  alerts", style="dim")
        for alert in story.alerts:
            yield Text(f"  {alert.uuid[:_SHORT]}  {alert.severity:<8}  {escape(alert.rule)}")
    if story.more_alerts:
        yield Text(f"  and {story.more_alerts:,} more")
    hints = ["sockwarden accesses show ID"] if story.asked else []
    hints += ["sockwarden alerts show ID"] if story.alerts else []
    if hints:
        yield Text(f"\n  more of each: {', '.join(hints)}", style="dim")


def _facts(story: Story) -> list[tuple[str, str]]:
    sockets = [
        f"{one.runtime} {one.address}".strip()
        + (f", given as {', '.join(one.given)}" if one.given else "")
        + f" ({_count(one.accesses, 'access', 'accesses')})"
        for one in story.sockets
    ]
    counts = [_count(story.accesses, "access", "accesses"), _count(story.requests, "request", "requests")]
    counts += [f"{story.failures:,} failed"] if story.failures else []
    return [
        ("id", story.id),
        ("actor", "unknown" if story.kind == "unknown" else f"a {story.kind}"),
        ("from", f"{story.began} to {story.last}"),
        ("programs", ", ".join(story.programs)),
        ("sockets", "; ".join(sockets)),
        ("in all", ", ".join(counts)),
    ]


def _cells(story: Story) -> tuple[str, ...]:
    moment = datetime.fromtimestamp(story.last_ms / 1000, UTC)
    return (
        story.id[:_SHORT],
        f"{moment:%Y-%m-%d %H:%M:%S}",
        story.level,
        escape(f"{program_of(story.who)} → {_what(story)}"),
    )


def _what(story: Story) -> str:
    """The first words of a story: whom, and what for, the risky before the rest."""
    names = ", ".join(dict.fromkeys(one.runtime or one.address for one in story.sockets)) or "an unknown socket"
    if not story.asked:
        return f"{names}, {_count(story.accesses, 'access', 'accesses')}"
    risky = [one for one in story.asked if one.risk != "low"] or story.asked
    told = "; ".join(one.summary for one in risky[:_MOST_ASKED])
    left = story.requests - min(len(risky), _MOST_ASKED)
    return f"{names}: {told}" + (f"; and {left:,} more" if left > 0 else "")


def _count(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
