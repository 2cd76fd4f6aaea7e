"""The store under a run that never ends: it goes on when the store does not."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from sockwarden.alerts import GroupState
from sockwarden.digests import Digests
from sockwarden.document import Document
from sockwarden.errors import InputError
from sockwarden.recent import Recent
from sockwarden.store.retention import Removed
from sockwarden.store.rows import AccessRow, AlertRow, access_row, alert_row, id_of
from sockwarden.store.store import Store
from sockwarden.store.stories import StoryRow, story_row
from sockwarden.stories import Story

COMMIT_SECONDS = 0.5
BATCH = 500
"""Documents after which a commit does not wait."""
MOST_ROWS = 50_000
MOST_BYTES = 32 << 20
"""What is held in memory while the store does not take it, in rows and in bytes of documents."""
RETRY_SECONDS = 10.0
_MOST_BATCHES = 8
"""Transactions of one `flush`."""
PRUNE_SECONDS = 120.0
PRUNE_SHARE = 1 / 32
"""Share of the store's limit written after which pruning does not wait, so that the file stays within it."""
_ROW_BYTES = 200
"""What a row takes in the file beside its document, about."""
_MOST_RECENT = 50_000
_MOST_STORIES = 8 << 20
"""Bytes of stories that are held while the store does not take them."""
_WAIT = 0.2
"""Seconds to wait for another writer: the run has events to read meanwhile."""


class _Entry:
    """An access, its alerts, and those that it raised, which are written together."""

    __slots__ = ("accesses", "alerts", "raised", "rows", "size")

    def __init__(self, accesses: list[AccessRow], alerts: list[AlertRow], raised: list[AlertRow]) -> None:
        self.accesses = accesses
        self.alerts = alerts
        self.raised = raised
        self.rows = len(accesses) + len(alerts) + len(raised)
        self.size = sum(len(row.document) for row in accesses) + sum(len(row.document) for row in (*alerts, *raised))


class Keeper:
    """Keeps accesses and alerts in the store at `folder`.

    saved     accesses and alerts written, and alerts raised
    dropped   accesses, alerts and counts of suppression that found no room in memory while the store did not take them
    removed   what retention removed so far
    Times given as `now` are seconds of a clock that is never set back (time.monotonic).
    """

    def __init__(self, folder: Path, *, max_age_days: float, max_bytes: int) -> None:
        self.max_age_days = max_age_days
        self.max_bytes = max_bytes
        self.saved = 0
        self.dropped = 0
        self.removed = Removed()
        self._folder = folder
        self._store: Store | None = None
        self._waiting: deque[_Entry] = deque()
        self._rows = 0
        self._bytes = 0
        self._recent: Recent[bytes] = Recent(_MOST_RECENT, Digests)
        self._grown: dict[str, GroupState] = {}
        self._stories: OrderedDict[str, StoryRow] = OrderedDict()
        self._story_bytes = 0
        self._ended: set[str] = set()
        self._notes: list[str] = []
        self._failing = ""
        self._dropped_before = 0
        self._unpruned = 0
        self._retry_at = self._commit_at = self._prune_at = float("-inf")

    @property
    def waiting(self) -> int:
        """Accesses and alerts that are not written yet."""
        return self._rows

    def known(self, identity: str) -> bool:
        """Whether an access with this `_id` was kept before, by this run or an earlier one. While the store cannot be
        read: by this run, as far as it remembers.
        """
        if id_of(identity) in self._recent:
            return True
        if self._store is None and self._failing:
            return False  # tried again by `flush`
        try:
            return bool(self._reopened().has_access([identity]))
        except InputError as error:
            self._failed(error, time.monotonic())
            return False

    def newest(self, most: int) -> Iterator[Document]:
        """Accesses that were kept, the newest first; none while the store cannot be read."""
        if self._store is None and self._failing:
            return
        try:
            yield from self._reopened().newest_accesses(most)
        except InputError as error:
            self._failed(error, time.monotonic())

    def keep(self, access: Document, alerts: Sequence[Document] = (), raised: Sequence[Document] = ()) -> None:
        """Takes an access, what it was judged to be, and the alerts of before that it raised. Written by `flush`,
        together or not at all.
        """
        row = access_row(access)
        self._recent.add(row.id)
        self._take([row], alerts, raised)

    def keep_alerts(self, alerts: Sequence[Document]) -> None:
        """Takes alerts that no access caused."""
        self._take([], alerts)

    def keep_stories(self, stories: Iterable[Story]) -> None:
        """Takes stories as they are now; of one that changes again before `flush` the latest is written."""
        for story in stories:
            if before := self._stories.pop(story.id, None):
                self._story_bytes -= len(before.document)
            row = self._stories[story.id] = story_row(story)
            self._story_bytes += len(row.document)
            while self._story_bytes > _MOST_STORIES:
                self._story_bytes -= len(self._stories.popitem(last=False)[1].document)
                self.dropped += 1

    def grow(self, groups: Mapping[str, GroupState]) -> None:
        """Takes what alerts took in since; by their uuid."""
        self._grown |= groups
        while len(self._grown) > MOST_ROWS:
            del self._grown[next(iter(self._grown))]
            self.dropped += 1

    def ended(self) -> set[str]:
        """The alerts, since this was last asked, that are to take nothing in any more, as far as something was told of
        them: a person closed them, or they are gone.
        """
        ended, self._ended = self._ended, set()
        return ended

    def _take(self, accesses: list[AccessRow], alerts: Sequence[Document], raised: Sequence[Document] = ()) -> None:
        entry = _Entry(accesses, [alert_row(alert) for alert in alerts], [alert_row(alert) for alert in raised])
        if self._rows >= MOST_ROWS or self._bytes + entry.size > MOST_BYTES:
            self.dropped += entry.rows
            return
        self._waiting.append(entry)
        self._rows += entry.rows
        self._bytes += entry.size

    def flush(self, now: float) -> None:
        """Writes what waits, when it is time; opens the store again, when it is time; prunes now and then.

        Call it some times a second. It never raises: what goes wrong is in `notes`.
        """
        if self._store is None and now < self._retry_at:
            return
        if self._rows < BATCH and now < self._commit_at:
            return
        self._commit_at = now + COMMIT_SECONDS
        try:
            store = self._reopened()
            # What gathered while the store failed is written in several goes: the run has events to read meanwhile.
            for _ in range(_MOST_BATCHES):
                self._write(store)
                if self._unpruned >= self.max_bytes * PRUNE_SHARE:
                    self._prune(store, now)
            if self._stories:
                store.stories.write(self._stories.values())
                self._unpruned += self._story_bytes
                self._stories.clear()
                self._story_bytes = 0
            self._recovered()
            if self._grown and not self._waiting:  # their alerts are written by now
                self._ended |= store.grow(self._grown)
                self._grown = {}
            if now >= self._prune_at:
                self._prune(store, now)
        except InputError as error:
            self._failed(error, now)

    def _write(self, store: Store) -> None:
        """One transaction."""
        batch = list(islice(self._waiting, BATCH))
        if not batch:
            return
        store.write(
            [row for entry in batch for row in entry.accesses],
            [row for entry in batch for row in entry.alerts],
            [row for entry in batch for row in entry.raised],
        )
        for entry in batch:
            self._waiting.popleft()
            self._rows -= entry.rows
            self._bytes -= entry.size
            self._unpruned += entry.size + entry.rows * _ROW_BYTES
            self.saved += entry.rows

    def notes(self) -> list[str]:
        """What changed about the store since the last call, for a person: each change once."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """A last try to write what waits; counts what could not be written as dropped."""
        self._retry_at = self._commit_at = float("-inf")
        self._prune_at = float("inf")
        while (self._rows or self._grown or self._stories) and self._retry_at < 0:
            self.flush(time.monotonic())
            self._commit_at = float("-inf")
        if self._rows:
            self.dropped += self._rows
            self._notes.append(f"{self.dropped:,} accesses and alerts could not be written to the store and are lost.")
        if self._store:
            self._store.close()
            self._store = None

    def _reopened(self) -> Store:
        """The store, opened again where it failed or was rotated away."""
        if self._store and self._store.moved():
            self._store.let_go()
            self._store = None
            self._notes.append(f"{self._folder}: the store was moved or deleted; a new one is begun in its place.")
        if self._store is None:
            self._store = Store(self._folder, create=True, wait=_WAIT)
        return self._store

    def _prune(self, store: Store, now: float) -> None:
        """One step; the next comes with the next transaction while there is more to remove."""
        done = store.prune(self.max_age_days, self.max_bytes, time.time(), goes_on=lambda: False)
        self.removed.accesses += done.accesses
        self.removed.alerts += done.alerts
        self.removed.stories += done.stories
        self._prune_at = now if done.unfinished else now + PRUNE_SECONDS
        if not done.unfinished:
            self._unpruned = 0

    def _failed(self, error: InputError, now: float) -> None:
        self._retry_at = now + RETRY_SECONDS
        if self._store:
            self._store.close()
            self._store = None
        if error.why == self._failing:
            return
        self._failing = error.why
        self._notes.append(f"{error}\nUp to {MOST_ROWS:,} accesses are held in memory; the store is tried every 10 s.")

    def _recovered(self) -> None:
        if not self._failing:
            return
        lost = self.dropped - self._dropped_before
        self._dropped_before = self.dropped
        self._failing = ""
        told = f"; {lost:,} accesses and alerts found no room meanwhile and are lost" if lost else ""
        self._notes.append(f"{self._folder}: the store is written again{told}.")
