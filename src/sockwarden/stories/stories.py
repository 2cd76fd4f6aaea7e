"""Which story a document belongs to, and what it makes of that story. Constant time a document, bounded memory."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sockwarden.alerts import Severity
from sockwarden.document import Document, get
from sockwarden.kql.dates import date_ms
from sockwarden.stories.actor import Actor, actor_of
from sockwarden.stories.connections import Connections, Holder, inode_of, with_story
from sockwarden.stories.level import Graded, by_actor, by_request, higher, is_request
from sockwarden.stories.story import Story, who_of

PAUSE_MS = 15 * 60_000
"""A story ends when nothing came for so long."""
LONGEST_MS = 24 * 3_600_000
"""And after so long in any case: what an agent did last week is no part of what it does today."""
MOST_OPEN = 512
MOST_ENTRIES = 10_000
"""Stories that are open at once, and requests told in them in all; the one least recently heard of goes first."""
MOST_UNWRITTEN = 2 * MOST_OPEN
"""Stories that wait to be written: of a flood of new ones the oldest are forgotten, and counted."""
QUIET_SECONDS = 10.0
"""A story that is low, as those of a runtime's own parts are, is written so seldom: it changes all day."""


class Told(NamedTuple):
    """What a document did to its story.

    alerts  its alerts, with the story's id
    raised  alerts of before that are more severe now
    rose    whether the story's level rose
    """

    story: Story
    alerts: Sequence[Document] = ()
    raised: Sequence[Document] = ()
    rose: bool = False


class _Open:
    """An open story. written: when, by time.monotonic; urgent: whether it is to be written soon."""

    __slots__ = ("story", "urgent", "written")

    def __init__(self, story: Story) -> None:
        self.story = story
        self.urgent = True
        self.written = float("-inf")


class Stories:
    """The open stories of one watch.

    boot   the kernel's identity of this boot: pids and sessions begin anew with the next
    reads  whether requests can be read: a connection is then graded by what is asked over it, and where nothing is,
           after a while by who made it; else at once
    lost   stories, or what came last in them, that were forgotten before they could be written
    """

    def __init__(self, boot: str = "", *, reads: bool = False, most: int = MOST_OPEN) -> None:
        self.reads = reads
        self.lost = 0
        self._boot = boot
        self._most = most
        self._open: OrderedDict[Actor, _Open] = OrderedDict()
        self._by_id: dict[str, _Open] = {}
        self._entries = 0
        self._changed: OrderedDict[str, _Open] = OrderedDict()
        self._connections = Connections()

    def take(self, document: Document, alerts: Sequence[Document], now: float) -> Told | None:
        """An access or a request with its alerts; None for what sockwarden did itself. now: time.monotonic."""
        if get(document, "sockwarden.own") is not None:
            return None
        one = self._story_of(document)
        story, before = one.story, one.story.level
        alerts = with_story(alerts, story.id)
        inode = inode_of(document)
        if is_request(document):
            story.reach(document, 0)
            added = story.ask(document)
            one.urgent |= added
            self._entries += added
            request = get(document, "sockwarden.request")
            raised = self._connections.ask(inode, request) if inode and isinstance(request, dict) else []
            self._grade(one, document, _worst(by_request(document), alerts))
        else:
            count = get(document, "sockwarden.loss.folded") or 1
            story.accesses += count
            story.reach(document, count)
            raised = self._connections.hold(inode, Holder(document, alerts, story.id), now) if inode else []
            if not (self.reads and inode):
                self._grade(one, document, by_actor(document))
        story.failures += get(document, "event.outcome") == "failure"
        for alert in (*alerts, *raised):
            self._note(alert)
        # A copy: the list itself follows what is raised.
        return Told(story, list(alerts), raised, higher(story.level, before))

    def tick(self, now: float) -> Iterator[Told]:
        """Stories that rose, since nothing was asked over a connection."""
        for holder in self._connections.silent(now):
            one = self._by_id.get(holder.story) or self._story_of(holder.access)
            before = one.story.level
            self._grade(one, holder.access, by_actor(holder.access))
            if higher(one.story.level, before):
                self._mark(one)
                yield Told(one.story, rose=True)

    def changed(self, now: float | None = None) -> Iterator[Story]:
        """Stories to be written: each once after it changed. now: time.monotonic; None for the end, when all are."""
        for identity, one in list(self._changed.items()):
            if now is None or one.urgent or now - one.written >= QUIET_SECONDS:
                del self._changed[identity]
                one.written = time.monotonic() if now is None else now
                one.urgent = False
                yield one.story

    def _story_of(self, document: Document) -> _Open:
        moment = date_ms(document.get("@timestamp"))
        actor = actor_of(document)
        one = self._open.get(actor)
        if one and moment is not None and _is_over(one.story, moment):
            self._end(actor)
            one = None
        if one is None:
            one = self._begun(actor, document, moment or 0)
        story = one.story
        if moment is not None and moment >= story.last_ms:
            story.last, story.last_ms = str(document["@timestamp"]), moment
        self._open.move_to_end(actor)
        self._mark(one)
        self._make_room()
        return one

    def _begun(self, actor: Actor, document: Document, moment: int) -> _Open:
        began = str(document.get("@timestamp") or "")
        digest = hashlib.sha256("\n".join((self._boot, *actor, began)).encode("utf-8", "surrogatepass"))
        story = Story(digest.hexdigest()[:32], actor.kind, began, began, moment, moment, who=who_of(document))
        one = self._open[actor] = self._by_id[story.id] = _Open(story)
        return one

    def _make_room(self) -> None:
        while len(self._open) > self._most or (self._entries > MOST_ENTRIES and len(self._open) > 1):
            self._end(next(iter(self._open)))

    def _end(self, actor: Actor) -> None:
        """Forgets a story; what of it is not written yet still is."""
        one = self._open.pop(actor)
        self._by_id.pop(one.story.id, None)
        self._entries -= len(one.story.asked)
        one.urgent = True

    def _grade(self, one: _Open, document: Document, graded: Graded) -> None:
        story = one.story
        if higher(graded.level, story.level):
            story.level = graded.level
            story.who = who_of(document)
            story.reasons.clear()
            one.urgent = True
        if graded.level == story.level != "low":
            story.because(graded.reasons)

    def _note(self, alert: Document) -> None:
        """Each alert in its own story: a connection that was handed on raises that of another."""
        one = self._by_id.get(str(get(alert, "sockwarden.story.id")))
        if one:
            one.story.alert(alert)
            one.urgent = True
            self._mark(one)

    def _mark(self, one: _Open) -> None:
        self._changed[one.story.id] = one
        if len(self._changed) > MOST_UNWRITTEN:
            self._changed.popitem(last=False)
            self.lost += 1
        one.urgent |= one.story.level != "low"


def _is_over(story: Story, moment: int) -> bool:
    return abs(moment - story.last_ms) > PAUSE_MS or moment - story.first_ms > LONGEST_MS


def _worst(graded: Graded, alerts: Sequence[Document]) -> Graded:
    """What a rule over requests says counts as what the request was graded."""
    for alert in alerts:
        severity: Severity = get(alert, "kibana.alert.severity")
        if higher(severity, graded.level):
            graded = Graded(severity, (*graded.reasons, str(get(alert, "kibana.alert.rule.name"))[:80]))
    return graded
