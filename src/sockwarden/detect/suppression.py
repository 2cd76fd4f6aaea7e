"""Suppression where documents are judged as they come: groups are open for a stretch of the documents' time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection

from sockwarden.alerts import Detector, GroupState, group_of, grouped, take
from sockwarden.document import Document, get
from sockwarden.kql.dates import date_ms

MOST_OPEN = 1 << 14
"""Groups that are open at once; the one that was asked for least recently is closed for a new one."""


class StreamGroups:
    """The open groups of all rules.

    suppressed  matches that an earlier alert took in, by the rule's name
    evicted     groups that were closed for a new one before their time was over: their next match is an alert
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.suppressed: Counter[str] = Counter()
        self.evicted = 0
        self._most = most
        self._open: OrderedDict[str, tuple[GroupState, int]] = OrderedDict()
        self._grown: OrderedDict[str, GroupState] = OrderedDict()

    def judge(self, alert: Document, document: Document, detector: Detector) -> Document | None:
        """The alert, as the first of its group where it opens one; None where a group took it in."""
        grouping = detector.suppression
        if grouping is None:
            return alert
        belonging = group_of(document, detector.rule_id, grouping)
        moment = date_ms(document.get("@timestamp"))
        if belonging is None or moment is None:
            return alert
        # One run of the rule is an interval here: nothing runs.
        duration = detector.interval_ms if grouping.duration_ms is None else grouping.duration_ms
        uuid = get(alert, "kibana.alert.uuid")
        state, folded = take(self._open.get(belonging.key, (None, 0))[0], uuid, moment, duration)
        self._open[belonging.key] = (state, duration)
        self._open.move_to_end(belonging.key)
        if len(self._open) > self._most:
            _, (oldest, lasts) = self._open.popitem(last=False)
            self.evicted += moment - oldest.first < lasts
        if not folded:
            return grouped(alert, belonging, state)
        self.suppressed[detector.name] += 1
        self._grown[state.uuid] = state
        if len(self._grown) > 2 * self._most:
            self._grown.popitem(last=False)  # nobody asks for them
        return None

    def end(self, uuids: Collection[str]) -> None:
        """Closes the groups of these alerts: the next match is an alert."""
        if uuids:
            for key in [key for key, (state, _) in self._open.items() if state.uuid in uuids]:
                del self._open[key]

    def grown(self) -> dict[str, GroupState]:
        """The groups that took matches in since this was last asked, by the uuid of their alert."""
        grown, self._grown = dict(self._grown), OrderedDict()
        return grown
