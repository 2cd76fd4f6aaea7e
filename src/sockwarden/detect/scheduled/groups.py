"""Suppression in one run: the groups that its matches open, and the lasting ones that earlier runs left open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sockwarden.alerts import Belonging, Detector, GroupState, group_of, grouped, take
from sockwarden.document import Document


class StagedGroups(Protocol):
    """Where groups are kept; nothing of it lasts before the run is committed."""

    def groups(self, key: str) -> Sequence[GroupState]:
        """The lasting groups of this key: of this run, then of earlier ones."""
        ...

    def keep_group(self, key: str, state: GroupState) -> None:
        """Makes this the lasting group of the key."""
        ...

    def take_in(self, uuid: str, state: GroupState) -> None:
        """Notes that a group took the match with this uuid in: it makes no alert any more. state: the group's then."""
        ...


class RunGroups:
    """The groups of one run of one rule."""

    def __init__(self, detector: Detector, staged: StagedGroups) -> None:
        self._rule_id = detector.rule_id
        self._grouping = detector.suppression
        self._staged = staged
        # Of this run alone. Each has its alert, so that there are no more than max_signals a window.
        self._own: dict[str, GroupState] = {}

    def of(self, document: Document) -> Belonging | None:
        """The group that a match belongs to; None where it is to be an alert of its own."""
        return group_of(document, self._rule_id, self._grouping) if self._grouping else None

    def takes_in(self, belonging: Belonging, uuid: str, moment: int) -> bool:
        """Whether an open group takes the match in. moment: the match's time in ms."""
        duration = self._grouping.duration_ms if self._grouping else None
        for state in self._open(belonging.key, lasting=duration is not None):
            grown, folded = take(state, uuid, moment, duration)
            if folded:
                self._staged.take_in(uuid, grown)
                self._keep(belonging.key, grown)
                return True
        return False

    def opened(self, alert: Document, belonging: Belonging, uuid: str, moment: int) -> Document:
        """The alert as the first of a group, which is open from now on."""
        state = take(None, uuid, moment, None)[0]
        self._keep(belonging.key, state)
        return grouped(alert, belonging, state)

    def _open(self, key: str, *, lasting: bool) -> Sequence[GroupState]:
        if lasting:
            return self._staged.groups(key)
        return [self._own[key]] if key in self._own else []

    def _keep(self, key: str, state: GroupState) -> None:
        if self._grouping and self._grouping.duration_ms is not None:
            self._staged.keep_group(key, state)
        else:
            self._own[key] = state
