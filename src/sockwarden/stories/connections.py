"""Connections by the inode of the client's end: who made or holds each, with what alerts, and what was asked."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from sockwarden.alerts import raised
from sockwarden.document import Document, get
from sockwarden.stories.level import higher

MOST_OPEN = 1024
"""Connections that are remembered; the one that was heard of least recently goes for a new one."""
MOST_HOLDERS = 4
"""Accesses of one connection: its connect, and who was handed it."""
GRACE_SECONDS = 10.0
"""How long a connection may be silent before it is graded by who made it: a client asks at once."""


class Holder(msgspec.Struct):
    """An access, its alerts as they are now, and the story that it belongs to by its id."""

    access: Document
    alerts: list[Document]
    story: str


class _Connection(msgspec.Struct):
    """holders: the latest; asked: whether anything was; worst: `sockwarden.request` of the riskiest request."""

    holders: list[Holder]
    asked: bool = False
    worst: dict[str, Any] | None = None


class Connections:
    """Remembers connections, raises their alerts, and tells which stay silent. `now`: seconds of time.monotonic."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._open: OrderedDict[int, _Connection] = OrderedDict()
        self._silent: deque[tuple[float, Holder, int]] = deque()

    def hold(self, inode: int, holder: Holder, now: float) -> list[Document]:
        """Takes an access; the alerts of it that what was asked before raises."""
        connection = self._at(inode)
        connection.holders = [*connection.holders[1 - MOST_HOLDERS :], holder]
        if not connection.asked:
            self._silent.append((now + GRACE_SECONDS, holder, inode))
        return list(_raise(holder, connection.worst)) if connection.worst else []

    def ask(self, inode: int, request: dict[str, Any]) -> list[Document]:
        """Takes a request: the alerts that it raises, once each time that a connection's requests get worse."""
        connection = self._at(inode)
        connection.asked = True
        worst = connection.worst or {}
        if not higher(request.get("risk"), worst.get("risk")):
            return []
        connection.worst = request
        return [alert for holder in connection.holders for alert in _raise(holder, request)]

    def silent(self, now: float) -> Iterator[Holder]:
        """Accesses over whose connections nothing was asked until now; each once, the oldest first. So is one that was
        forgotten, since too many came.
        """
        while self._silent and (now >= self._silent[0][0] or len(self._silent) > self._most):
            _, holder, inode = self._silent.popleft()
            connection = self._open.get(inode)
            if connection is None or not connection.asked:
                yield holder

    def _at(self, inode: int) -> _Connection:
        connection = self._open.get(inode)
        if connection is None:
            connection = self._open[inode] = _Connection([])
            if len(self._open) > self._most:
                self._open.popitem(last=False)
        self._open.move_to_end(inode)
        return connection


def inode_of(document: Document) -> int | None:
    """The connection that a document is about; None where it is about none, or that is unknown."""
    inode = get(document, "sockwarden.connection.inode")
    return inode if isinstance(inode, int) and not isinstance(inode, bool) and inode > 0 else None


def with_story(alerts: Sequence[Document], identity: str) -> list[Document]:
    """The alerts with the id of their story."""
    return [
        {**alert, "sockwarden": {**(get(alert, "sockwarden") or {}), "story": {"id": identity}}} for alert in alerts
    ]


def _raise(holder: Holder, request: dict[str, Any]) -> Iterator[Document]:
    for place, alert in enumerate(holder.alerts):
        if again := raised(alert, holder.access, request):
            holder.alerts[place] = again
            yield again
