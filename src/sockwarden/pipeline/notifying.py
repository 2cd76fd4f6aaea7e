"""What reaches people: sinks that notify get the alerts of stories that are bad enough, all others get every alert."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from sockwarden.document import Document, get
from sockwarden.sinks.fold import is_building_block
from sockwarden.stories import Story, Told, higher, summary_of

Notify = Literal["graded", "all"]
_ENOUGH = "medium"
"""A story or an alert above this is told."""
_MOST_HELD = 1024


class Notifying:
    """Chooses for one watch.

    wanted  graded: an alert goes where its story is high; all: every alert goes, and again when it is raised
    reads   whether requests can be read. Where they cannot, nothing grades what was asked, and all goes
    """

    def __init__(self, wanted: Notify = "all", *, reads: bool = False) -> None:
        self.wanted = wanted
        self.reads = reads
        self._held: OrderedDict[str, Document] = OrderedDict()

    def chosen(self, told: Told) -> list[Document]:
        """What goes of a document's alerts, or what was held back and goes now, with the story that they belong to."""
        found = self._graded(told) if self.wanted == "graded" and self.reads else [*told.alerts, *told.raised]
        return [_with_story(alert, told.story) for alert in found]

    def line(self) -> str:
        """For a person, at the start."""
        if self.wanted == "all":
            return "webhook, syslog and journald get every alert"
        if self.reads:
            return "webhook, syslog and journald get alerts of stories at or above high (--notify all: every alert)"
        return (
            "webhook, syslog and journald get every alert: "
            "what is asked over a connection cannot be read here, so nothing grades it"
        )

    def _graded(self, told: Told) -> list[Document]:
        alerts = [alert for alert in told.alerts if not is_building_block(alert)]
        raised = [alert for alert in told.raised if not is_building_block(alert)]
        if not higher(told.story.level, _ENOUGH):
            self._hold(told.story, [*alerts, *raised])
            return []
        bad = [alert for alert in alerts if higher(_severity(alert), _ENOUGH)]
        if bad:
            return bad
        # A raised alert tells of the same request as one that was made of it; it goes where there is none.
        again = [alert for alert in raised if higher(_severity(alert), _ENOUGH)][:1]
        held = self._held.pop(told.story.id, None)
        if again or not told.rose:
            return again
        rest = [*alerts, *raised, *([held] if held else [])]
        return [max(rest, key=_rank)] if rest else []

    def _hold(self, story: Story, alerts: Sequence[Document]) -> None:
        """Remembers the most severe alert of a story that is not bad enough yet: it goes when the story becomes so, and
        no other alert tells that.
        """
        held = self._held.get(story.id)
        for alert in alerts:
            if held is None or not higher(_severity(held), _severity(alert)):
                held = alert
        if held is not None:
            self._held[story.id] = held
            self._held.move_to_end(story.id)
            if len(self._held) > _MOST_HELD:
                self._held.popitem(last=False)


def _with_story(alert: Document, story: Story) -> Document:
    told = {"id": story.id, "level": story.level, "summary": summary_of(story), "reasons": list(story.reasons)}
    return {**alert, "sockwarden": {**alert["sockwarden"], "story": told}}


def _severity(alert: Document) -> str:
    return str(get(alert, "kibana.alert.severity"))


def _rank(alert: Document) -> int:
    return int(get(alert, "kibana.alert.risk_score") or 0)
